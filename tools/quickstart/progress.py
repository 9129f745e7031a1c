# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps shown while they run, commands whose output goes to a log."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

DOT_SECONDS = 3
LAST_LINES = 15


class StepError(Exception):
    """The failure of a step: its reason, and what to do."""


class Progress:
    """Numbers the steps, shows that they are alive, and keeps their commands' output in a log."""

    def __init__(self, steps: int, log: Path) -> None:
        self.log = log
        self._steps = steps
        self._step = 0

    def begin_log(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Show a step and the time it took; texts added to the yielded list are shown below it."""
        self._step += 1
        print(f"[{self._step}/{self._steps}] {title} ", end="", flush=True)
        started = time.monotonic()
        outcome: list[str] = []
        yield outcome
        print(f" {time.monotonic() - started:.0f} s", flush=True)
        for text in outcome:
            print(f"      {text}", flush=True)

    def run(
        self,
        command: Sequence[str],
        *,
        hint: str,
        seconds: float,
        cwd: Optional[Path] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> str:
        """Run a command with its output to the log and a dot every few seconds, and return its output.

        Raise StepError, with the last lines and the hint, if it fails or takes too long.
        """
        with open(self.log, "ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            begin = log.tell()
            try:
                process = subprocess.Popen(
                    command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
            except OSError as error:
                raise StepError(f"{command[0]} can't be run: {error.strerror}. {hint}") from None
            in_time = _wait(process, seconds)
        with open(self.log, "rb") as log:
            log.seek(begin)
            output = log.read().decode("utf-8", errors="replace")
        if process.returncode == 0 and in_time:
            return output
        why = f"ended with exit code {process.returncode}" if in_time else f"took more than {seconds:.0f} s"
        last = "\n".join(f"    {line}" for line in output.strip().splitlines()[-LAST_LINES:])
        raise StepError(f"{' '.join(command)}\n{why}:\n{last}\n\n{hint}\nAll output is in {self.log}")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the process, showing signs of life; return False if it took too long and had to be ended."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            try:
                process.wait(timeout=DOT_SECONDS)
                return True
            except subprocess.TimeoutExpired:
                print(".", end="", flush=True)
        return False
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
