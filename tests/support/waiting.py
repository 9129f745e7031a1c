# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for a condition or for the end of a process, with a time limit."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
# Less than the timeout of pytest, which does not say what was waited for.
END_SECONDS = 280


def wait_until(condition: Callable[[], Result], what: str = "", seconds: float = 240) -> Result:
    """Return the first result of C(condition) that is true; raise AssertionError if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, (
            f"not within {seconds:g} s: {what or condition}; the last result is {result!r}"
        )
        time.sleep(0.05)


def output_of(process: subprocess.Popen[str], seconds: float = END_SECONDS) -> str:
    """Wait until a process has ended, and return its output; raise AssertionError if it does not end in time."""
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        output = process.communicate()[0]
    raise AssertionError(f"not ended within {seconds:g} s: {process.args!r}; its output: {output!r}")
