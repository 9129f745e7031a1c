# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils.deadline import call_with_deadline, side_by_side


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


def test_a_call_with_a_deadline_says_that_there_is_no_thread_for_it(threads_left: int) -> None:
    for _call in range(threads_left):
        assert call_with_deadline(lambda: 1, seconds=60) == 1
    with pytest.raises(VmError) as caught:
        call_with_deadline(lambda: 1, seconds=60)
    assert caught.value.code == "no_threads"
