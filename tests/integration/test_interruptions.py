# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirtd hangs, QEMU dies or is slow, the task is interrupted, several tasks start one VM at the same time.

These tests stop libvirtd, and therefore run only on a laboratory hypervisor, which has its own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import daemon, predicted
from ansible_collections.zstack.kvm.tests.support.forked_task import begin, start
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.processes import (
    qemus_of,
    slow_to_start,
)
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

Vm = dict[str, Any]


@pytest.fixture(autouse=True, scope="module")
def own_libvirtd() -> None:
    daemon.assert_own()


def assert_repaired_by_the_next_run(vm: Vm, **options: Any) -> None:
    """Assert that the next run succeeds, and the one after it has nothing to do."""
    again = predicted.agreed(start, vm, **options)
    assert not again.failed, again.output
    assert (state(vm["uuid"]), len(qemus_of(vm["uuid"]))) == ("running", 1)
    assert start(vm, **options).actions == []


class TestQemuIsKilledBeforeItAnswers:
    def test_a_new_vm_is_gone_again(self, new_vm: NewVm) -> None:
        vm = new_vm()
        run = self.killed(slow_to_start(vm))
        assert (run.error["code"], run.error["rollback"]) == ("qemu_failed", "done"), run.error
        assert state(vm["uuid"]) == "absent"
        assert_repaired_by_the_next_run(vm)

    def test_a_vm_that_was_there_has_its_old_definition(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("destroy", vm["uuid"])
        run = self.killed({**slow_to_start(vm), "cpu_num": 2})
        assert (run.error["code"], run.error["rollback"]) == ("qemu_failed", "done"), run.error
        assert definition(vm["uuid"]).findtext("vcpu") == "1"
        assert_repaired_by_the_next_run({**vm, "cpu_num": 2})

    def killed(self, vm: Vm) -> TaskRun:
        """Return the result of a task whose QEMU was killed while libvirt waited for its first reply."""
        task = begin(vm)
        wait_until(lambda: bool(qemus_of(vm["uuid"])))
        for process in qemus_of(vm["uuid"]):
            os.kill(process, signal.SIGKILL)
        return task.finished()


@contextmanager
def hanging_libvirtd() -> Iterator[None]:
    """Suspend libvirtd, which keeps its connections."""
    process = daemon.pid()
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_libvirtd_that_hangs_is_given_up_in_time_before_a_start_and_during_it(new_vm: NewVm) -> None:
    vm, late = new_vm(), [new_vm(), new_vm()]
    during = begin(slow_to_start(vm, 120))
    wait_until(lambda: bool(qemus_of(vm["uuid"])))
    with hanging_libvirtd():
        began = time.monotonic()
        before = begin(*late)
        runs = [before.finished(), during.finished()]
        assert time.monotonic() - began < 90
        assert qemus_of(vm["uuid"]) == []
    assert [entry["error"]["code"] for run in runs for entry in run.vms] == ["libvirt_hangs"] * 3
    assert [entry["error"]["rollback"] for run in runs for entry in run.vms] == ["not_needed"] * 2 + ["partial"]
    for each in (vm, *late):
        assert_repaired_by_the_next_run(each)


def test_a_start_that_takes_longer_than_the_timeout_is_ended_and_undone(new_vm: NewVm) -> None:
    vm = {**slow_to_start(new_vm(), 200), "timeout": 3}
    # libvirt itself waits longer, and then reports another error.
    run = predicted.failed(start, vm)
    assert (run.error["code"], run.error["rollback"]) == ("start_timeout", "done"), run.error
    assert run.error["boot_diagnostics"] == {"serial_console": [], "qemu_log": [], "screenshot": None}
    assert (state(vm["uuid"]), qemus_of(vm["uuid"])) == ("absent", [])


def test_an_interrupted_task_finishes_the_current_vm_and_starts_no_other(new_vm: NewVm) -> None:
    tasks = {}
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        vms = [slow_to_start(new_vm(), 4), new_vm()]
        tasks[number] = vms, begin(*vms, parallel=1)
    for number, (vms, task) in tasks.items():
        wait_until(partial(qemus_of, vms[0]["uuid"]))
        task.send_signal(number)
    for vms, task in tasks.values():
        run = task.finished()
        assert run.vms[0]["state"] == "running", run.vms[0]
        assert run.vms[1]["error"]["code"] == "interrupted"
        assert state(vms[1]["uuid"]) == "absent"


def test_an_interrupted_task_forces_off_no_guest_that_it_waits_for(new_vm: NewVm, tmp_path: Path) -> None:
    vm = new_vm()
    start(vm)
    number = virsh("domid", vm["uuid"])
    # The guest of this disk ignores its power button.
    calls = tmp_path / "calls"
    calls.touch()
    task = begin({**vm, "cpu_num": 2}, on_drift="restart", calls=calls)
    wait_until(
        lambda: "shut the domain down" in calls.read_text(encoding="utf-8"), "the guest is requested to shut down"
    )
    task.send_signal(signal.SIGTERM)
    run = task.finished()
    assert (run.error["code"], run.error["phase"], run.error["rollback"]) == ("interrupted", "stop", "done"), run.error
    assert "may still do so" in run.error["message"]
    assert (virsh("domid", vm["uuid"]), definition(vm["uuid"]).findtext("vcpu")) == (number, "1")


def test_an_interrupted_task_does_not_wait_for_the_xpath_of_a_patch(new_vm: NewVm) -> None:
    nested = 8
    endless = "//*[count(" * nested + "//*" + ")>0]" * nested
    vm, other = new_vm(domain_patches=[{"action": "remove", "xpath": endless}]), new_vm()
    lock = Path("/run/zstack-kvm") / f"{vm['uuid']}.lock"
    task = begin(vm, other, parallel=1)
    wait_until(lock.exists)
    task.send_signal(signal.SIGTERM)
    run = task.finished()
    assert [entry["error"]["code"] for entry in run.vms] == ["patch_failed", "interrupted"], run.vms
    assert "5 seconds" in run.vms[0]["error"]["message"]
    assert not lock.exists()


class TestAtOnce:
    def test_twenty_tasks_start_one_vm_once(self, new_vm: NewVm) -> None:
        vm = {**new_vm(), "timeout": 200}
        tasks = [begin(vm) for _number in range(20)]
        runs = [task.finished() for task in tasks]
        assert [run.error for run in runs if run.failed] == []
        assert sorted(run.actions for run in runs) == [[]] * 19 + [["define", "start"]]
        assert len(qemus_of(vm["uuid"])) == 1

    def test_two_tasks_that_share_ten_vms_start_each_once(self, new_vm: NewVm) -> None:
        vms = [{**new_vm(), "timeout": 200} for _number in range(10)]
        tasks = [begin(*order) for order in (vms, vms[::-1])]
        runs = [task.finished() for task in tasks]
        assert [run.result["msg"] for run in runs if run.failed] == []
        starts = [entry["uuid"] for run in runs for entry in run.vms if "start" in entry["actions"]]
        assert sorted(starts) == sorted(vm["uuid"] for vm in vms)
        assert start(*vms).result["changed"] is False
