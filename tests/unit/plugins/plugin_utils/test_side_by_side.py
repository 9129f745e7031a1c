# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that are made side by side, each in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.side_by_side import SideBySide

SECONDS = 60


def wait_for(path: Path) -> bool:
    """Wait for a file, and return whether it has appeared."""
    deadline = time.monotonic() + SECONDS
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.exists()


@pytest.fixture
def calls() -> Iterator[SideBySide]:
    calls = SideBySide()
    yield calls
    calls.results()


def test_results_have_the_names_and_the_order_of_the_calls(calls: SideBySide, tmp_path: Path) -> None:
    calls.start("first", lambda: wait_for(tmp_path / "second"), most=2)
    calls.start("second", (tmp_path / "second").touch, most=2)
    assert list(calls.results().items()) == [("first", True), ("second", None)]


def test_no_more_than_the_given_number_run_at_once(calls: SideBySide, tmp_path: Path) -> None:
    def alone() -> bool:
        # Fails if another one is between this and the removal
        (tmp_path / "one").mkdir()
        time.sleep(0.1)
        (tmp_path / "one").rmdir()
        return True

    for name in ("first", "second", "third"):
        calls.start(name, alone, most=1)
    assert calls.results() == {"first": True, "second": True, "third": True}


def test_a_result_may_be_larger_than_a_pipe(calls: SideBySide) -> None:
    calls.start("large", lambda: "x" * (1 << 20), most=1)
    assert len(calls.results()["large"]) == 1 << 20


def test_a_process_that_is_ended_has_no_result(calls: SideBySide) -> None:
    calls.start("killed", lambda: os.kill(os.getpid(), signal.SIGKILL), most=1)
    calls.start("well", lambda: "result", most=1)
    assert calls.results() == {"killed": None, "well": "result"}


def test_what_was_collected_is_not_collected_again(calls: SideBySide) -> None:
    calls.start("once", lambda: 1, most=1)
    calls.results()
    assert calls.results() == {}


def test_a_signal_ends_a_call_whatever_the_handlers_of_its_parent_do(calls: SideBySide) -> None:
    def survive() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    handler = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        calls.start("ended", survive, most=1)
        assert calls.results() == {"ended": None}
    finally:
        signal.signal(signal.SIGTERM, handler)
