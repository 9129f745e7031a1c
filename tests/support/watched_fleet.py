# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet with an example of everything that a report shows: drift, VMs that are off, hypervisors that are down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional
from xml.sax.saxutils import escape

from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.laboratory import STAND_INS, Laboratory
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS

FIRST, SECOND, WITHOUT_LIBVIRTD, SWITCHED_OFF = "hv1", "hv2", "hv3", "hv9"
AGENT = "org.qemu.guest_agent.0"
FOREIGN = "8f000000-0000-4000-8000-000000000000"

# The names of VMs by the names of their hypervisors; those of the last one cannot run, because it does not exist.
NAMES = {
    FIRST: ["web-01", "web-02"],
    SECOND: ["database", "batch"],
    WITHOUT_LIBVIRTD: ["mail"],
    SWITCHED_OFF: ["backup"],
}
DRIFTED, PAUSED, OFF, SILENT, GONE = "web-02", "database", "batch", "mail", "backup"


def uuid_of(name: str) -> str:
    """Return the UUID of a VM of the fleet."""
    names = [each for hypervisor in NAMES.values() for each in hypervisor]
    return "3f0b6c1e-0000-4000-8000-%012d" % (names.index(name) + 1)


def boot_sector(path: Path, name: str) -> Path:
    """Return a disk that shows the VM's name."""
    return media.write_qcow2(path, f"I am {name}")


class WatchedFleet:
    """Hypervisors in a laboratory, their VMs, and Ansible's inventories of them."""

    def __init__(self, directory: Path, laboratory: Laboratory, images: Path) -> None:
        self.directory = directory
        self.laboratory = laboratory
        self._images = images
        self._vms = directory / "vms.yml"

    def set_up(self, names: Mapping[str, str], write_disk: Callable[[Path, str], Path]) -> None:
        """Start the VMs, and change them outside of Ansible; C(names) replaces the names of some."""
        hosts: dict[str, dict[str, Any]] = {
            hypervisor: {"zstack_vms": [self._vm(name, names.get(name, name), write_disk) for name in vms]}
            for hypervisor, vms in NAMES.items()
        }
        self._write(hosts, (FIRST, SECOND, WITHOUT_LIBVIRTD))
        self.play("zstack.kvm.start_vms")
        hosts[SWITCHED_OFF]["ansible_host"] = self._address(SWITCHED_OFF)
        self._write(hosts, tuple(hosts))
        self._change_outside_ansible(names.get("jump-host", "jump-host"))

    def _vm(self, name: str, called: str, write_disk: Callable[[Path, str], Path]) -> dict[str, Any]:
        path = write_disk(self._images / f"{name}.qcow2", name)
        vm: dict[str, Any] = {"uuid": uuid_of(name), "name": called, "root_volume": {"install_path": str(path)}}
        if name == "web-01":
            vm.update(internal_id=42, host_management_ip=self._address(FIRST), nics=[{"bridge_name": "br_eth0"}])
            vm["channels"] = [{"socket_path": "/var/lib/libvirt/qemu/agent.sock", "target_name": AGENT}]
        return vm

    def _address(self, hypervisor: str) -> str:
        known = next(line for line in self.laboratory.lab("list").splitlines() if line.startswith(FIRST)).split()[1]
        return "%s.%d" % (known.rpartition(".")[0], 10 + int(hypervisor[2:]))

    def _write(self, hosts: Mapping[str, Any], names: tuple[str, ...]) -> None:
        # With the default share of the CPUs, guests are too slow to show anything on a busy machine.
        defaults = {"domain_type": "qemu", "memory": "128MiB", "cpu_num": 1, "cpu_speed": 1024}
        group = {"vars": {"zstack_vm_defaults": defaults}, "hosts": {name: hosts[name] for name in names}}
        self._vms.write_text(json.dumps({"hypervisors": group}), encoding="utf-8")

    def _change_outside_ansible(self, called: str) -> None:
        virsh = ("virsh", "--quiet")
        self.laboratory.execute(FIRST, *virsh, "schedinfo", self._domain(DRIFTED), "--config", "cpu_shares=77")
        foreign = boot_sector(self._images / "foreign.qcow2", "foreign")
        xml = f"""<domain type='qemu'><name>jump-host</name><uuid>{FOREIGN}</uuid>
            <description>{escape(called)}</description><memory unit='MiB'>64</memory>
            <os><type arch='x86_64'>hvm</type></os><devices><disk type='file'><driver name='qemu' type='qcow2'/>
            <source file='{foreign}'/><target dev='hda'/></disk>
            <graphics type='vnc' autoport='yes'/><video><model type='vga'/></video></devices></domain>"""
        for command in ("define", "start"):
            argument = "/dev/stdin" if command == "define" else FOREIGN
            done = self.laboratory.try_lab("exec", SECOND, "--", *virsh, command, argument, input=xml)
            assert done.returncode == 0, done.stderr
        self.laboratory.execute(SECOND, *virsh, "suspend", self._domain(PAUSED))
        self.laboratory.execute(SECOND, *virsh, "destroy", self._domain(OFF))
        self.laboratory.execute(WITHOUT_LIBVIRTD, "sh", "-c", "kill -9 $(cat /run/libvirtd.pid)")

    def _domain(self, name: str) -> str:
        return uuid_of(name).replace("-", "")

    def uris(self) -> dict[str, str]:
        """Return libvirt's URIs of the hypervisors: the first uses OpenSSH, the others libssh2."""
        key, hosts = self.laboratory.directory / "key", self.laboratory.directory / "known_hosts"
        ssh = self.directory / "ssh"
        if not ssh.exists():
            options = f"-F /dev/null -i {key} -o UserKnownHostsFile={hosts} -o IdentitiesOnly=yes -o ConnectTimeout=10"
            ssh.write_text(f'#!/bin/sh\nexec ssh {options} "$@"\n', encoding="utf-8")
            ssh.chmod(0o755)
        query = f"keyfile={key}&known_hosts={hosts}&known_hosts_verify=normal&sshauth=privkey"
        uris = {name: f"qemu+libssh2://root@{self._address(name)}/system?{query}" for name in NAMES}
        return {**uris, FIRST: f"qemu+ssh://root@{self._address(FIRST)}/system?command={ssh}"}

    def play(self, playbook: str, *arguments: str) -> str:
        """Run a playbook of the collection on all hypervisors, and return its output."""
        inventories = ["-i", str(self.laboratory.inventory), "-i", str(self._vms)]
        return self.run("ansible-playbook", *inventories, playbook, *arguments)

    def run(self, program: str, *arguments: str, environment: Optional[Mapping[str, str]] = None) -> str:
        """Run one of Ansible's programs, and return its output; raise AssertionError with the output if it fails."""
        done = self.try_run(program, *arguments, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_run(
        self, program: str, *arguments: str, environment: Optional[Mapping[str, str]] = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Ansible's programs, which may fail."""
        settings = {
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS)),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SHOW_CUSTOM_STATS": "true",
            "COLUMNS": "400",
            **(environment or {}),
        }
        return subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            env={**os.environ, **settings},
        )


@contextmanager
def watched_fleet(
    directory: Path, images: Path, names: Mapping[str, str], write_disk: Callable[[Path, str], Path] = boot_sector
) -> Iterator[WatchedFleet]:
    """Yield the fleet, in a laboratory of its own. QEMU's user can read the directory C(images)."""
    with Laboratory(directory / "laboratory", 1, "free") as laboratory:
        laboratory.up(3, f"--bind={images}", f"--path-first={STAND_INS}")
        fleet = WatchedFleet(directory, laboratory, images)
        fleet.set_up(names, write_disk)
        yield fleet
