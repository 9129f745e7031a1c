# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of a guest on its serial console: the proof that it booted, and from which disk."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.05
ANSWER_SECONDS = 60


class MissingOutputError(AssertionError):
    """The guest did not print the expected text in time; the message has what it printed."""


def console_path(domain: str, uri: str = "qemu:///system") -> Path:
    """Return the pseudo terminal of the serial console of a running domain (name or UUID), on the hypervisor itself."""
    command = ["virsh", "--connect", uri, "ttyconsole", domain]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode or not answer.stdout.strip():
        raise MissingOutputError(f"{domain} has no serial console now: {answer.stderr.strip()}")
    return Path(answer.stdout.strip())


def wait_for_text(domain: str, pattern: str, timeout: float = ANSWER_SECONDS, uri: str = "qemu:///system") -> str:
    """Read a running domain's console until the regular expression is found in it.

    Return all that was read, up to and including the match. Works only on the domain's hypervisor.
    """
    return wait_in_terminal(console_path(domain, uri), pattern, timeout)


def wait_in_terminal(path: Path, pattern: str, timeout: float = ANSWER_SECONDS, send: str = "") -> str:
    """Read a pseudo terminal until the regular expression is found in it, and return what was read so far.

    C(send): what is written to it before.
    """
    deadline = time.monotonic() + timeout
    output = ""
    with _raw_terminal(path) as terminal:
        os.write(terminal, send.encode())
        while time.monotonic() < deadline:
            output += _read(terminal, POLL_SECONDS)
            found = re.search(pattern, output)
            if found:
                return output[: found.end()]
    raise MissingOutputError(f"{path} did not print {pattern!r} within {timeout:g} s, but: {output[-2000:]!r}")


@contextmanager
def _raw_terminal(path: Path) -> Iterator[int]:
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        # Otherwise the terminal would echo the guest's output back to it.
        tty.setraw(terminal)
        yield terminal
    finally:
        os.close(terminal)


def _read(terminal: int, seconds: float) -> str:
    readable, _writable, _exceptional = select.select([terminal], [], [], seconds)
    if not readable:
        return ""
    try:
        return os.read(terminal, 4096).decode("utf-8", errors="replace")
    except OSError:
        # QEMU has ended, or has not opened its side yet.
        time.sleep(seconds)
        return ""
