# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedule the VMs of a task: those with a lower C(start_order) are finished before others begin."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Optional

from .._spec.vm import Vm
from ..deadline import side_by_side
from .result import VmResult

Handle = Callable[[Vm, Sequence[Vm]], VmResult]


def start_in_order(handle: Handle, vms: Sequence[Vm], workers: int) -> list[VmResult]:
    """Return the results of C(handle) for all VMs, in their order, C(workers) at a time.

    C(handle) gets a VM and those with a lower start_order that have failed. It may not raise an error.
    """
    turns = _Turns(vms)
    results: list[Optional[VmResult]] = [None] * len(vms)

    def work(_worker: int) -> None:
        while True:
            index = turns.begin()
            if index is None:
                return
            result = results[index] = handle(vms[index], turns.failed_before(index))
            turns.end(index, result.failure is not None)

    workers = min(workers, len(vms))
    side_by_side(work, range(workers), workers)
    return results  # type: ignore[return-value]


class _Turns:
    """Hands out the indexes of VMs to several threads, each when it is its turn.

    Those without a start_order fill the time that the others spend waiting.
    """

    def __init__(self, vms: Sequence[Vm]) -> None:
        self._vms = vms
        numbers = {index: vm.start_order for index, vm in enumerate(vms) if vm.start_order is not None}
        self._ordered = deque(sorted(numbers, key=lambda index: (numbers[index], index)))
        self._others = deque(index for index in range(len(vms)) if index not in numbers)
        self._unfinished = numbers
        self._failed: dict[int, int] = {}
        self._changed = threading.Condition()

    def begin(self) -> Optional[int]:
        """Wait for the next VM that may begin, and return its index; None if none is left."""
        with self._changed:
            while self._ordered and not self._is_turn_of(self._ordered[0]):
                if self._others:
                    return self._others.popleft()
                self._changed.wait()
            waiting = self._ordered or self._others
            return waiting.popleft() if waiting else None

    def end(self, index: int, failed: bool) -> None:
        """Record that a VM is done."""
        with self._changed:
            number = self._unfinished.pop(index, None)
            if failed and number is not None:
                self._failed[index] = number
            self._changed.notify_all()

    def failed_before(self, index: int) -> list[Vm]:
        """Return the VMs with a lower start_order that have failed."""
        own = self._vms[index].start_order
        with self._changed:
            return [self._vms[other] for other, number in self._failed.items() if own is not None and number < own]

    def _is_turn_of(self, index: int) -> bool:
        return self._unfinished[index] == min(self._unfinished.values())
