# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run work in threads that the process does not wait for when it ends, because a call of libvirt can block forever."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Optional, TypeVar

from ._errors.errors import VmError

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = queue.SimpleQueue[Callable[[], None]]

# The threads that wait for another call with a deadline, by their work: to start one takes longer than most calls.
_idle: list[Work] = []
os.register_at_fork(after_in_child=_idle.clear)


def call_with_deadline(function: Callable[[], Result], seconds: float) -> Result:
    """Return what C(function) returns, or raise what it raises. Raises C(TimeoutError) when it takes longer.

    The call then continues in its thread. Raises C(VmError) if no thread can be started.
    """
    outcome: queue.SimpleQueue[Callable[[], Result]] = queue.SimpleQueue()
    work = _idle_thread()

    def give(result: Result) -> Result:
        return result

    def fail(error: BaseException) -> Result:
        raise error

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # pylint: disable=broad-exception-caught
            caught = error
            answer = partial(fail, caught)
        else:
            answer = partial(give, result)
        _idle.append(work)
        outcome.put(answer)

    work.put(run)
    try:
        return outcome.get(timeout=seconds)()
    except queue.Empty:
        raise TimeoutError("no answer within %g seconds" % seconds) from None


def _idle_thread() -> Work:
    """Return the work of a thread that waits for some, which may be a new one."""
    try:
        return _idle.pop()
    except IndexError:
        work: Work = queue.SimpleQueue()

    def serve() -> None:
        while True:
            work.get()()

    start_thread(serve)
    return work


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> list[Result]:
    """Return the results of C(function) for all items, in order, C(workers) at a time. C(function) must not raise.

    The calling thread works too: each further one costs memory.
    """
    waiting: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    for entry in enumerate(items):
        waiting.put(entry)
    results: list[Optional[Result]] = [None] * len(items)

    def work() -> None:
        while True:
            try:
                index, item = waiting.get_nowait()
            except queue.Empty:
                return
            results[index] = function(item)

    threads = _started(work, min(workers, len(items)) - 1)
    work()
    for thread in threads:
        thread.join()
    return results  # type: ignore[return-value]


def _started(work: Callable[[], None], count: int) -> list[threading.Thread]:
    """Start that many threads, or as many as the system allows."""
    threads: list[threading.Thread] = []
    try:
        for _worker in range(count):
            threads.append(start_thread(work))
    except VmError:
        pass
    return threads


def start_thread(function: Callable[[], object]) -> threading.Thread:
    """Start a thread that the end of the process doesn't wait for. Raises C(VmError) if the system allows no more."""
    thread = threading.Thread(target=function, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise VmError("no_threads", "the system does not allow this task to start more threads") from error
    return thread
