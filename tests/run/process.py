# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command of the tests, with its output on the terminal and in a log file, and with a time limit."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .screen import Screen

HEARTBEAT_SECONDS = 15
DRAIN_SECONDS = 1.0

# Set to end every command, in whatever thread it runs.
interrupted = threading.Event()


@dataclass(frozen=True)
class Outcome:
    """The outcome of a command; `reason` says why it failed and is empty if it did not."""

    reason: str
    output: str

    @property
    def ok(self) -> bool:
        return not self.reason


def run(
    command: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    log: Path,
    seconds: float,
    screen: Screen,
    quiet: bool = False,
) -> Outcome:
    """Run the command for at most `seconds`; append what it prints to `log`, and show it unless `quiet`."""
    with log.open("a+b") as log_file:
        start = log_file.seek(0, os.SEEK_END)
        log_file.write(f"$ {' '.join(command)}\n".encode())
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return Outcome(f"{command[0]} could not be run: {error.strerror}", "")
        try:
            in_time = _follow(process, log_file, time.monotonic() + seconds, screen, quiet)
        finally:
            _end(process)
            screen.end()
        log_file.seek(start)
        output = log_file.read().decode(errors="replace")
    if not in_time:
        return Outcome(f"took longer than {seconds:.0f} s and was ended", output)
    if process.returncode:
        return Outcome(f"{Path(command[0]).name} ended with exit code {process.returncode}", output)
    return Outcome("", output)


def interrupt_on_signals() -> None:
    """Treat SIGINT and SIGTERM as Ctrl-C: commands that run are ended, and may clean up."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell makes its background commands ignore Ctrl-C, and that is inherited.
        signal.signal(number, interrupt)


def _follow(process: subprocess.Popen[bytes], log_file: BinaryIO, deadline: float, screen: Screen, quiet: bool) -> bool:
    """Pass on what the process prints until it ends; return False if it doesn't before the deadline."""
    assert process.stdout is not None
    heartbeat = time.monotonic() + HEARTBEAT_SECONDS
    ended = None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(0.1):
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    break
                log_file.write(data)
                log_file.flush()
                if not quiet:
                    screen.write(data)
            if interrupted.is_set():
                raise KeyboardInterrupt
            now = time.monotonic()
            # A daemon that the command left behind may keep its output open forever.
            if process.poll() is not None:
                ended = ended or now
                if now - ended > DRAIN_SECONDS:
                    return True
            if now > deadline:
                return False
            if quiet and now > heartbeat:
                screen.beat()
                heartbeat = now + HEARTBEAT_SECONDS
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process if it still runs, and all that it started: first with a signal that lets it clean up."""
    if process.poll() is not None:
        return
    for number, seconds in ((signal.SIGINT, 20), (signal.SIGTERM, 5)):
        os.killpg(process.pid, number)
        try:
            process.wait(seconds)
            break
        except subprocess.TimeoutExpired:
            continue
    # The group outlives its first process if another one ignores the signals.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
