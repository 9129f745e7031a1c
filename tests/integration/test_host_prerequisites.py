# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_prerequisites on a hypervisor with a VM: its changes, its refusals, and the VM keeps running."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import daemon, module_run
from ansible_collections.zstack.kvm.tests.support.playbook import TARGET_PYTHON, run_tasks
from ansible_collections.zstack.kvm.tests.support.processes import qemus_of
from ansible_collections.zstack.kvm.tests.support.virsh import try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# A role of three dozen tasks, three times.
pytestmark = pytest.mark.timeout(900)

SETTINGS = Path("/etc/libvirt/qemu.conf")
START_DAEMON = [daemon.NAME, "--daemon"]
PARAMETERS = Path("/etc/default/grub.d/zstack-kvm.cfg")
ROLE = "zstack.kvm.host_prerequisites"


def run_role(check: bool = False, path: Optional[str] = None, **variables: Any) -> list[dict[str, Any]]:
    """Return the results of the role's tasks. C(path): where its programs are searched for first."""
    environment = {"PATH": f"{path}:{os.environ['PATH']}"} if path else None
    role = {"ansible.builtin.include_role": {"name": ROLE}, "vars": variables}
    return run_tasks([role], check, environment)


def part(name: str, facts: Mapping[str, Any], **variables: Any) -> list[dict[str, Any]]:
    """Return tasks that run a part of the role on a host with other facts."""
    named = {f"ansible_{fact}": value for fact, value in facts.items()}
    role = {"name": ROLE, "tasks_from": name, "public": True}
    return [
        {"ansible.builtin.set_fact": {**named, "cacheable": True}},
        {"ansible.builtin.include_role": role, "vars": variables},
    ]


def system(distribution: str, family: str, version: str, architecture: str = "x86_64") -> dict[str, Any]:
    """Return Ansible's facts about a distribution."""
    return {
        "architecture": architecture,
        "distribution": distribution,
        "distribution_major_version": version.partition(".")[0],
        "distribution_version": version,
        "os_family": family,
        "python": {"executable": TARGET_PYTHON},
    }


DEBIAN = system("Debian", "Debian", "12.5")


def changed(results: list[dict[str, Any]]) -> bool:
    return any(result.get("changed") for result in results)


def flat(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results, each loop's followed by those of its items."""
    return [each for result in results for each in [result, *result.get("results", [])]]


def messages(results: list[dict[str, Any]]) -> str:
    """Return the messages of tasks, including those in loops."""
    return "\n".join(str(result.get("msg")) for result in flat(results))


def kill_daemon() -> None:
    daemon.assert_own()
    daemon.kill()
    wait_until(lambda: try_virsh("uri").returncode != 0)


@pytest.fixture
def settings() -> Iterator[Path]:
    """Yield qemu.conf, and restore it after the test, for libvirtd too."""
    before = SETTINGS.read_bytes()
    yield SETTINGS
    SETTINGS.write_bytes(before)
    if try_virsh("uri").returncode == 0:
        kill_daemon()
    subprocess.run(START_DAEMON, check=True)
    wait_until(lambda: try_virsh("uri").returncode == 0)


@pytest.fixture
def boot_loader(images: Path) -> Iterator[Path]:
    """Yield a directory with an update-grub that records in a file that it ran."""
    program = images / "update-grub"
    program.write_text(f"#!/bin/sh\ntouch {images}/ran\n", encoding="utf-8")
    program.chmod(0o755)
    yield images
    PARAMETERS.unlink(missing_ok=True)


def test_what_is_missing_is_created_and_the_vm_runs_on(new_vm: NewVm, settings: Path, boot_loader: Path) -> None:
    vm = new_vm()
    assert not module_run.start(vm).failed
    (qemu,) = qemus_of(vm["uuid"])
    options: dict[str, Any] = {
        "host_prerequisites_security_driver": "none",
        "host_prerequisites_kernel_parameters": "zstack_test=1 iommu=pt",
        # As in an unanswered survey.
        "host_prerequisites_qemu_user": "",
        "host_prerequisites_qemu_group": "",
    }
    kill_daemon()
    before = settings.read_bytes()

    predicted = run_role(check=True, path=str(boot_loader), **options)
    assert changed(predicted)
    assert f"To be started: {daemon.NAME}" in messages(predicted)
    assert "To be added: zstack_test=1 iommu=pt" in messages(predicted)
    assert settings.read_bytes() == before and not PARAMETERS.exists() and try_virsh("uri").returncode != 0

    assert changed(run_role(path=str(boot_loader), **options))
    first = daemon.pid()
    text = settings.read_text(encoding="utf-8")
    assert '\nsecurity_driver = "none"\n' in text and '= ""' not in text
    assert "zstack_test=1 iommu=pt" in PARAMETERS.read_text(encoding="utf-8") and (boot_loader / "ran").exists()

    # A run that ended before it restarted libvirtd has left settings that are newer than libvirtd. Nothing else is
    # left to do; that a bridge is missing is an error.
    os.utime(settings)
    again = run_role(path=str(boot_loader), host_prerequisites_bridges="lo,br_nowhere", **options)
    assert "has no bridge lo and no bridge br_nowhere" in messages(again)
    assert not (Path("/dev/kvm").exists() and "KVM is not loaded" in messages(again))
    assert [result["cmd"] for result in flat(again) if result.get("changed") and "cmd" in result][1:] == [START_DAEMON]
    assert daemon.pid() != first and daemon.PID_FILE.stat().st_mtime > settings.stat().st_mtime
    assert virsh("domstate", vm["uuid"]).strip() == "running" and qemus_of(vm["uuid"]) == [qemu]


def test_settings_that_the_host_cannot_have_are_refused_and_nothing_is_written(settings: Path) -> None:
    before, main = settings.read_bytes(), daemon.pid()
    results = run_role(host_prerequisites_qemu_user="nobody_at_all", host_prerequisites_security_driver="none")
    assert "has no user nobody_at_all, and libvirt would start no VM with it" in messages(results)
    assert not changed(results)
    assert settings.read_bytes() == before and daemon.pid() == main


def test_a_host_has_what_its_distribution_calls_by_these_names() -> None:
    packages = {
        "ansible.builtin.debug": {"msg": "{{ __host_prerequisites_packages + __host_prerequisites_release_packages }}"}
    }
    hosts = {
        "libvirt-daemon-kvm iscsi-initiator-utils edk2-ovmf": system("Rocky", "RedHat", "9.4"),
        "qemu-kvm policycoreutils-python-utils edk2-aarch64": system("AlmaLinux", "RedHat", "10.0", "aarch64"),
        "open-iscsi qemu-system-x86 qemu-system-modules-spice": system("Ubuntu", "Debian", "24.04"),
        "qemu-system-x86 qemu-system-modules-spice": system("Debian", "Debian", "forky/sid"),
        "qemu-system-arm qemu-efi-aarch64": system("Ubuntu", "Debian", "22.04", "aarch64"),
    }
    results = run_tasks([task for facts in hosts.values() for task in [*part("platform", facts), packages]])
    lists = [result["msg"] for result in results if isinstance(result.get("msg"), list)]
    assert [set(names.split()) - set(found) for names, found in zip(hosts, lists)] == [set()] * len(hosts)
    assert "qemu-system-modules-spice" not in lists[-1]


LISTEN = """import socket, sys
listening = [socket.socket(socket.AF_UNIX) for path in sys.argv[1:]]
for each, path in zip(listening, sys.argv[1:]):
    each.bind(path)
    each.listen()
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def listening(process: str, directory: Path, names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Have a process of this name listen on sockets of these names meanwhile, and yield their paths."""
    directory.mkdir()
    (directory / process).symlink_to(sys.executable)
    paths = {name: str(directory / f"{name}-sock") for name in names}
    command = [str(directory / process), "-c", LISTEN, *paths.values()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stdout.readline() == b"ready\n"
        yield paths


def test_a_host_is_modular_although_a_proxy_listens_for_libvirtd(images: Path) -> None:
    hosts = {
        "one of the modular daemons": ("some", ["libvirtd", "virtlogd", "virtnetworkd"], "modular"),
        "only their proxy": ("virtproxyd", ["libvirtd", "virtlogd"], "modular"),
        "libvirtd": ("libvirtd", ["libvirtd", "virtlogd"], "monolithic"),
        "neither": ("virtlogd", ["virtlogd"], ""),
    }
    tasks = []
    with ExitStack() as stack:
        for number, (process, answering, _kind) in enumerate(hosts.values()):
            nobodys = {"libvirtd": "/nowhere", "virtqemud": "/nowhere"}
            sockets = stack.enter_context(listening(process, images / str(number), answering))
            variables = {"__host_prerequisites_sockets": {**nobodys, **sockets}}
            told = {
                "ansible.builtin.debug": {"msg": "kind: {{ __host_prerequisites_running_kind }}"},
                "vars": variables,
            }
            tasks += [*part("daemons_there", DEBIAN, **variables), told]
        results = run_tasks(tasks)
    kinds = re.findall(r"^kind: (.*)$", messages(results), re.MULTILINE)
    assert dict(zip(hosts, kinds)) == {name: kind for name, (_process, _answering, kind) in hosts.items()}


def test_what_a_host_cannot_be_or_have_is_refused() -> None:
    without_libvirt = {**DEBIAN, "python": {"executable": "/bin/false"}}
    refused = {
        "runs Rocky 8.10, and the role host_prerequisites needs 9 or newer": part(
            "platform", system("Rocky", "RedHat", "8.10")
        ),
        "runs openSUSE Leap, which the role host_prerequisites doesn't know": part(
            "platform", system("openSUSE Leap", "Suse", "15.6")
        ),
        "Set for this host: ansible_python_interpreter=/usr/bin/python3": [
            *part("platform", DEBIAN), *part("packages", without_libvirt)
        ],
        "has no group nobody_at_all": part(
            "qemu_settings_possible", DEBIAN,
            host_prerequisites_qemu_user="+0", host_prerequisites_qemu_group="nobody_at_all",
        ),
        "runs without selinux": part("qemu_settings_possible", DEBIAN, host_prerequisites_security_driver="selinux"),
    }  # fmt: skip
    # What fails in a block doesn't end the play.
    reported = messages(run_tasks([{"block": tasks} for tasks in refused.values()]))
    assert [message for message in refused if message not in reported] == [], reported
