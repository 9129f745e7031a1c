# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a condition, and for the end of a passing failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Optional, TypeVar

from ._errors.errors import VmError

POLL_SECONDS = 0.1

Answer = TypeVar("Answer")


def wait_until(
    condition: Callable[[], bool],
    seconds: float,
    cancelled: Optional[threading.Event] = None,
    poll: float = POLL_SECONDS,
) -> bool:
    """Return whether C(condition) came true within C(seconds); it is tried every C(poll) seconds, at least once.

    Raise C(interrupted) when C(cancelled) is set.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if cancelled is not None and cancelled.is_set():
            raise VmError("interrupted", "the task was interrupted")
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll)
    return True


def with_retries(
    call: Callable[[], Answer], is_passing: Callable[[VmError], bool], attempts: int, pause: float
) -> Answer:
    """Return the result of C(call), which is repeated C(pause) seconds after an error that C(is_passing) accepts.

    The error of the last attempt is raised in any case.
    """
    for _attempt in range(attempts - 1):
        try:
            return call()
        except VmError as error:
            if not is_passing(error):
                raise
        time.sleep(pause)
    return call()
