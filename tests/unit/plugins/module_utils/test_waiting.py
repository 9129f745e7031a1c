# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A condition is tried at least once, and the wait ends in time or when the task is interrupted."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils.waiting import wait_until


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
