# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils import deadline
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils.deadline import call_with_deadline, side_by_side
from ansible_collections.zstack.kvm.plugins.module_utils.waiting import wait_until


@pytest.fixture(params=[0, 1], ids=["no thread", "one thread"])
def threads_left(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    left, start = [request.param], threading.Thread.start

    def start_if_any_is_left(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_any_is_left)
    return int(request.param)


@pytest.mark.usefixtures("threads_left")
def test_side_by_side_continues_with_the_threads_that_there_are() -> None:
    assert side_by_side(lambda item: item * 2, [1, 2, 3], workers=3) == [2, 4, 6]


def test_side_by_side_works_in_the_calling_thread_and_one_less_than_the_workers() -> None:
    both_work = threading.Barrier(2)

    def thread_of(_item: int) -> int:
        both_work.wait(timeout=60)
        return threading.get_ident()

    assert threading.get_ident() in side_by_side(thread_of, [1, 2], workers=2)


@pytest.fixture
def _no_idle_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the threads of earlier tests."""
    monkeypatch.setattr(deadline, "_idle", [])


@pytest.mark.usefixtures("_no_idle_threads")
class TestCallWithDeadline:
    @pytest.mark.parametrize("threads_left", [0], indirect=True)
    def test_says_that_there_is_no_thread_for_it(self, threads_left: int) -> None:
        with pytest.raises(VmError) as caught:
            call_with_deadline(lambda: threads_left, seconds=60)
        assert caught.value.code == "no_threads"

    @pytest.mark.usefixtures("threads_left")
    @pytest.mark.parametrize("threads_left", [1], indirect=True)
    def test_needs_one_thread_for_calls_one_after_another(self) -> None:
        assert [call_with_deadline(threading.get_ident, seconds=60) for _call in range(3)] == 3 * [
            call_with_deadline(threading.get_ident, seconds=60)
        ]

    def test_leaves_its_thread_to_a_call_that_hangs_and_gets_it_back_when_that_ends(self) -> None:
        may_end = threading.Event()
        with pytest.raises(TimeoutError):
            call_with_deadline(may_end.wait, seconds=0.01)
        # It would never be answered by the thread that hangs.
        assert call_with_deadline(lambda: "another", seconds=60) == "another"
        assert len(deadline._idle) == 1
        may_end.set()
        assert wait_until(lambda: len(deadline._idle) == 2, 60)

    def test_raises_what_the_call_raises_and_keeps_the_thread(self) -> None:
        for _call in range(2):
            with pytest.raises(ZeroDivisionError):
                call_with_deadline(lambda: 1 // 0, seconds=60)
        assert len(deadline._idle) == 1
