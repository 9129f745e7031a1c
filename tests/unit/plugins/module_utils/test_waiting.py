# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A condition is tried at least once, and the wait ends in time or when the task is interrupted.

A call is repeated only after failures that may pass.
"""

from __future__ import annotations

import threading

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils.waiting import wait_until, with_retries


def test_a_condition_is_tried_even_without_time() -> None:
    assert wait_until(lambda: True, 0) is True


def test_a_condition_that_becomes_true_ends_the_wait() -> None:
    answers = iter([False, False, True])
    assert wait_until(lambda: next(answers), 60, poll=0) is True


def test_a_condition_that_stays_false_times_out() -> None:
    assert wait_until(lambda: False, 0) is False


def test_an_interrupted_task_stops_waiting() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(VmError) as caught:
        wait_until(lambda: False, 60, cancelled)
    assert caught.value.code == "interrupted"


def test_a_true_condition_counts_even_if_the_task_is_interrupted() -> None:
    cancelled = threading.Event()
    cancelled.set()
    assert wait_until(lambda: True, 60, cancelled) is True


class Failing:
    """A call that raises these errors, one each time, and then returns."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)

    def __call__(self) -> str:
        if self.codes:
            raise VmError(self.codes.pop(0), "no")
        return "done"


def is_passing(error: VmError) -> bool:
    return error.code == "libvirt_unavailable"


@pytest.mark.parametrize("failures", range(3))
def test_a_call_is_repeated_after_a_failure_that_may_pass(failures: int) -> None:
    assert with_retries(Failing(*["libvirt_unavailable"] * failures), is_passing, attempts=3, pause=0) == "done"


def test_another_failure_is_raised_at_once() -> None:
    call = Failing("libvirt_unavailable", "vm_busy", "libvirt_unavailable")
    with pytest.raises(VmError) as caught:
        with_retries(call, is_passing, attempts=9, pause=0)
    assert (caught.value.code, call.codes) == ("vm_busy", ["libvirt_unavailable"])


def test_the_failure_of_the_last_attempt_is_raised() -> None:
    call = Failing(*["libvirt_unavailable"] * 3)
    with pytest.raises(VmError) as caught:
        with_retries(call, is_passing, attempts=3, pause=0)
    assert (caught.value.code, call.codes) == ("libvirt_unavailable", [])
