# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_prerequisites on a hypervisor with a VM: what it changes, and that the VM goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import module_run
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks
from ansible_collections.zstack.kvm.tests.support.virsh import try_virsh, virsh

# A role of two dozen tasks, twice.
pytestmark = pytest.mark.timeout(900)

SETTINGS = Path("/etc/libvirt/qemu.conf")
DAEMON = Path("/run/libvirtd.pid")


def run_role(**variables: Any) -> list[dict[str, Any]]:
    """The results of the role's tasks."""
    role = {"ansible.builtin.include_role": {"name": "zstack.kvm.host_prerequisites"}, "vars": variables}
    return run_tasks([role])


def changed(results: list[dict[str, Any]]) -> bool:
    return any(result.get("changed") for result in results)


def daemon() -> int:
    return int(DAEMON.read_text(encoding="utf-8"))


@pytest.fixture
def settings() -> Iterator[Path]:
    """qemu.conf, which is as it was when the test is over, for libvirtd too."""
    before = SETTINGS.read_bytes()
    yield SETTINGS
    SETTINGS.write_bytes(before)
    os.kill(daemon(), signal.SIGKILL)
    subprocess.run(["libvirtd", "--daemon"], check=True)
    deadline = time.monotonic() + 60
    while try_virsh("uri").returncode:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_new_settings_of_qemu_reach_libvirtd_and_the_vm_goes_on(new_vm: NewVm, settings: Path) -> None:
    vm = new_vm()
    assert not module_run.start(vm).failed
    process, before = virsh("qemu-monitor-command", vm["uuid"], "--hmp", "info uuid"), daemon()
    assert changed(run_role(host_prerequisites_security_driver="none"))
    assert '\nsecurity_driver = "none"\n' in settings.read_text(encoding="utf-8")
    after = daemon()
    assert after != before
    assert virsh("domstate", vm["uuid"]).strip() == "running"
    assert virsh("qemu-monitor-command", vm["uuid"], "--hmp", "info uuid") == process
    # Once more, where a bridge is missing: that is an error, and nothing else is left to do.
    again = run_role(host_prerequisites_security_driver="none", host_prerequisites_bridges="lo,br_nowhere")
    assert [result for result in again if "br_nowhere" in str(result.get("msg"))]
    assert not changed(again)
    assert daemon() == after
