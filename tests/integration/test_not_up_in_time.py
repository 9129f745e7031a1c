# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that does not become ready: the error has the diagnostics that an operator needs first."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.boot_diagnostics import SCREENSHOT_DIRECTORY
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.integration.conftest import image_directory
from ansible_collections.zstack.kvm.tests.support import forked_task, in_process, media
from ansible_collections.zstack.kvm.tests.support.module_run import start
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun, failed
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import remove_domain, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

Vm = dict[str, Any]

PASSWORD = "Gu7-sekr"
SOON = 4
SAID = "No init found. The password is ******** here"


@pytest.fixture(scope="module")
def vm() -> Iterator[Vm]:
    """Yield a VM whose agent is waited for but never answers; its guest prints the console's password instead."""
    with image_directory() as images:
        disk = media.write_raw(images / "root.raw", SAID.replace("********", PASSWORD))
        vm: dict[str, Any] = {
            "uuid": "7e57ab1e-0000-4000-8000-0000000000aa",
            "name": "never up",
            "memory": "32MiB",
            "cpu_num": 1,
            "domain_type": "qemu",
            "root_volume": {"install_path": str(disk)},
            "channels": [{"socket_path": str(images / "agent.sock"), "target_name": "org.qemu.guest_agent.0"}],
            "console_password": PASSWORD,
            "wait_for": "guest_agent",
            # The guest prints its text after half a second, or later on a busy machine.
            "timeout": 10,
        }
        remove_domain(vm["uuid"])
        yield vm
        remove_domain(vm["uuid"])
        Path(SCREENSHOT_DIRECTORY, vm["uuid"] + ".png").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def first(vm: Vm) -> TaskRun:
    """Return the run that starts the VM, which runs on."""
    run = failed(vm)
    assert state(vm["uuid"]) == "running"
    return run


@pytest.fixture
def running(vm: Vm, first: TaskRun) -> Vm:
    """Return the running VM, whatever another test did to it."""
    if state(vm["uuid"]) != "running":
        virsh("start", vm["uuid"])
        wait_for_text(vm["uuid"], "No init found.")
    return vm


def size_of_png(path: Path) -> tuple[int, int]:
    """Return width and height."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", head[16:24])


def wait_until_the_task_listens(uuid: str) -> None:
    """Wait until the task has opened the console, for long enough that the guest has printed something."""

    def console_is_taken() -> bool:
        try:
            in_process.hypervisor().open_console(uuid).close()
        except VmError:
            return True
        # The task must find it free.
        time.sleep(0.5)
        return False

    wait_until(console_is_taken, "the task listens")
    time.sleep(3)


def test_the_error_is_that_of_the_wait_and_the_vm_runs_on(first: TaskRun) -> None:
    assert (first.error["code"], first.error["phase"]) == ("guest_agent_timeout", "wait_for_guest_agent")
    assert (first.actions, first.error["rollback"]) == (["define", "start"], "not_needed")
    assert first.vm["state"] == "running"


def test_the_error_has_the_last_lines_of_the_serial_console_without_secrets(first: TaskRun) -> None:
    assert first.error["boot_diagnostics"]["serial_console"][-1] == SAID
    assert PASSWORD not in first.output


def test_the_error_has_the_path_of_a_picture_that_only_its_owner_can_read(first: TaskRun) -> None:
    picture = Path(first.error["boot_diagnostics"]["screenshot"])
    assert size_of_png(picture) == (720, 400)
    assert (picture.stat().st_mode & 0o777, picture.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_all_of_it_is_shown_to_people(first: TaskRun) -> None:
    message = first.result["msg"]
    assert SAID in message
    assert first.error["boot_diagnostics"]["screenshot"] in message


def test_a_vm_that_ran_before_gets_the_same_error(running: Vm) -> None:
    again = start({**running, "timeout": SOON})
    assert (again.error["code"], again.actions, again.vm["changed"]) == ("guest_agent_timeout", [], False)
    assert SAID in again.error["boot_diagnostics"]["serial_console"]


def test_the_task_does_not_take_the_console_from_anybody(running: Vm) -> None:
    console = in_process.hypervisor().open_console(running["uuid"])
    try:
        assert start({**running, "timeout": SOON}).error["boot_diagnostics"]["serial_console"] == []
        assert b"No init found." in console.read()
    finally:
        console.close()


def test_the_console_is_free_again_afterwards(running: Vm) -> None:
    wait_for_text(running["uuid"], "No init found.")


def test_a_vm_that_ends_is_waited_for_no_longer(running: Vm) -> None:
    task = forked_task.begin({**running, "timeout": 250})
    wait_until_the_task_listens(running["uuid"])
    virsh("destroy", running["uuid"])
    ended = task.finished()
    assert (ended.error["code"], ended.vm["state"]) == ("vm_ended", "shutoff")
    assert SAID in ended.error["boot_diagnostics"]["serial_console"]
    assert ended.error["boot_diagnostics"]["screenshot"] is None
