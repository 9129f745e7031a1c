# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/create_vms.yml on several hypervisors: each runs its own VMs, and one inventory has the guests of all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.plugins.filter.vms_to_create import vms_to_create
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT, Laboratory
from ansible_collections.zstack.kvm.tests.support.linux_guest import BUILT
from ansible_collections.zstack.kvm.tests.support.waiting import output_of, wait_until

pytestmark = [pytest.mark.outside, pytest.mark.timeout(900)]

FIRST = 140
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHV8 somebody@somewhere"
# For each hypervisor: its VM, and the address that this test gives to the guest
VMS = {"hv140": ("one", "10.217.1.10"), "hv141": ("two", "10.217.1.11")}
NETWORK = {"name": "created", "address": "10.217.1.1/24", "dhcp_start": "10.217.1.50", "dhcp_end": "10.217.1.60"}


class Fleet:
    """Two hypervisors, and the playbook's variables for them."""

    def __init__(self, laboratory: Laboratory, directory: Path) -> None:
        self.laboratory = laboratory
        self.written = directory / "guests.yml"
        self._variables = directory / "variables.json"
        image = Path("/var/tmp/guest.qcow2")
        for name in VMS:
            laboratory.execute(name, "cp", str(BUILT / "disk.qcow2"), str(image))
        settings = {
            "zstack_image": str(image),
            "zstack_linked": True,
            "zstack_disk_size": "64MiB",
            "zstack_memory": "128MiB",
            "zstack_ssh_key": KEY,
            "zstack_network": NETWORK,
            "zstack_inventory": str(self.written),
            "zstack_vm_defaults": {"domain_type": "qemu", "cpu_speed": 1024, "use_boot_menu": False},
        }
        hosts = {name: {"zstack_names": [vm]} for name, (vm, _address) in VMS.items()}
        group = {"hypervisors": {"hosts": hosts, "vars": settings}}
        self._variables.write_text(json.dumps(group), encoding="utf-8")

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the playbook, and return while it runs."""
        inventories = ["-i", str(self.laboratory.inventory), "-i", str(self._variables)]
        command = [str(Path(sys.executable).with_name("ansible-playbook")), *inventories, "playbooks/create_vms.yml"]
        return subprocess.Popen(
            [*command, *arguments],
            cwd=CHECKOUT,
            env={**os.environ, "ANSIBLE_SSH_ARGS": "-o ControlMaster=no"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def set_address(self, hypervisor: str, run: subprocess.Popen[str]) -> None:
        """While the playbook runs, give the guest of a hypervisor its address, and make it answer at the SSH port."""
        name, address = VMS[hypervisor]
        (vm,) = vms_to_create(
            {"zstack_names": name, "zstack_image": "/i", "zstack_ssh_keys": KEY, "zstack_network": "created"}
        )
        script = f"ip address add {address}/24 dev eth0; echo 'echo SSH-2.0-test' >/answer; chmod +x /answer; "
        script += "nc -ll -p 22 -e /answer </dev/null >/dev/null 2>&1 &"
        request = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", script]}}
        command = ["virsh", "qemu-agent-command", vm["uuid"], "--timeout", "1", json.dumps(request)]

        def is_set() -> bool:
            return self.laboratory.try_lab("exec", hypervisor, "--", *command).returncode == 0

        wait_until(lambda: run.poll() is not None or is_set(), f"the agent of {name} answers")

    def guests(self) -> dict[str, Mapping[str, Any]]:
        """Return the hosts of the inventory that the playbook has written."""
        hosts: dict[str, Mapping[str, Any]] = yaml.safe_load(self.written.read_text())["created_vms"]["hosts"]
        return hosts


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Laboratory(tmp_path / "state", FIRST, "free") as laboratory:
        laboratory.up(len(VMS))
        yield Fleet(laboratory, tmp_path)


def test_each_hypervisor_runs_its_vms_and_one_inventory_has_the_guests_of_all(fleet: Fleet) -> None:
    twice = output_of(fleet.begin("--extra-vars", "zstack_names=one"))
    assert "is to run on hv140 and hv141 at once" in twice
    assert "changed=1" not in twice
    first_alone = {"zstack_names": "{{ ['one'] if inventory_hostname == 'hv140' else [] }}"}
    without_key = output_of(fleet.begin("-e", json.dumps(first_alone), "-e", "zstack_ssh_key=missing.pub"))
    assert "zstack_ssh_key: gives no key" in without_key
    assert "no host names a VM" not in without_key

    run = fleet.begin()
    for hypervisor in VMS:
        fleet.set_address(hypervisor, run)
    output = output_of(run)
    assert run.returncode == 0, output
    expected = {vm: (hypervisor, address) for hypervisor, (vm, address) in VMS.items()}
    seen = {vm: (each["zstack_vm_hypervisor"], each["ansible_host"]) for vm, each in fleet.guests().items()}
    assert seen == expected
    assert "ProxyCommand=ssh" in fleet.guests()["two"]["ansible_ssh_common_args"]

    written = fleet.written.read_text()
    again = output_of(fleet.begin("--limit", "hv141"))
    assert "changed=0 " in again, again
    assert fleet.written.read_text() == written
