# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which VMs are started, and the outcome of those after a failed one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Failure, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import VmResult, of_vm
from ansible_collections.zstack.kvm.plugins.module_utils._start.start_order import start_in_order
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vms


def numbered(*numbers: Optional[int]) -> tuple[Vm, ...]:
    """Return VMs with these numbers, in their order; each is named by its index."""
    return parsed_vms(
        *(
            {"uuid": "00000000-0000-4000-8000-%012d" % index, "name": str(index), "start_order": number}
            for index, number in enumerate(numbers)
        )
    )


class Handler:
    """Takes some time for each VM, and records which others were done when it began."""

    def __init__(self, *failing: str, seconds: float = 0.02) -> None:
        self.done: list[str] = []
        self.done_at_begin: dict[str, list[str]] = {}
        self.failed_before: dict[str, list[str]] = {}
        self._failing = failing
        self._seconds = seconds

    def __call__(self, vm: Vm, failed_before: Sequence[Vm]) -> VmResult:
        self.done_at_begin[vm.name] = list(self.done)
        self.failed_before[vm.name] = [other.name for other in failed_before]
        time.sleep(self._seconds)
        result = of_vm(vm)
        if vm.name in self._failing or failed_before:
            result.failure = Failure(VmError("qemu_failed", "no"), "start")
        self.done.append(vm.name)
        return result


def names(results: Sequence[Any]) -> list[str]:
    return [result.name for result in results]


@pytest.mark.parametrize("workers", [1, 2, 5, 20])
def test_lower_numbers_are_done_before_higher_ones_are_begun(workers: int) -> None:
    handler = Handler()
    results = start_in_order(handler, numbered(2, 1, 0, 2, 1, 0), workers)
    assert names(results) == ["0", "1", "2", "3", "4", "5"]
    for later, earlier in {"1": "25", "4": "25", "0": "1245", "3": "1245"}.items():
        assert set(earlier) <= set(handler.done_at_begin[later])


def test_vms_with_one_number_are_started_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=100)

    def handle(vm: Vm, failed_before: Sequence[Vm]) -> VmResult:
        meeting.wait()
        return of_vm(vm)

    start_in_order(handle, numbered(7, 7, 7), 3)
    assert not meeting.broken


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_holds_back_higher_numbers_only(workers: int) -> None:
    handler = Handler("1")
    start_in_order(handler, numbered(0, 1, 1, 2, 3, None), workers)
    assert handler.failed_before == {"0": [], "1": [], "2": [], "3": ["1"], "4": ["1", "3"], "5": []}


def test_vms_without_a_number_fill_the_time_in_which_others_are_waited_for() -> None:
    first_may_end = threading.Event()

    def handle(vm: Vm, failed_before: Sequence[Vm]) -> VmResult:
        if vm.name == "0":
            assert first_may_end.wait(10)
        if vm.name == "2":
            first_may_end.set()
        return of_vm(vm)

    assert names(start_in_order(handle, numbered(1, 2, None), 2)) == ["0", "1", "2"]
    assert first_may_end.is_set()


def test_vms_without_numbers_are_begun_as_given() -> None:
    handler = Handler(seconds=0)
    start_in_order(handler, numbered(None, None, None), 1)
    assert handler.done == ["0", "1", "2"]


def test_nothing_to_start() -> None:
    assert start_in_order(Handler(), (), 4) == []
