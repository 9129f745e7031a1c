# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make calls side by side, each in a process of its own, as Ansible does for the hosts of a task."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from ansible.utils.multiprocessing import context


class SideBySide:
    """Calls that run in processes of their own, each with a name."""

    def __init__(self) -> None:
        self._running: dict[Connection, str] = {}
        self._results: dict[str, Any] = {}

    def start(self, name: str, call: Callable[[], Any], most: int) -> None:
        """Start a call as soon as fewer than C(most) run. It must not raise, and its result must be picklable."""
        while len(self._running) >= most:
            self._receive()
        receiver, sender = context.Pipe(duplex=False)
        # A daemon, which ends with its parent
        context.Process(target=_send_result, args=(call, sender), daemon=True).start()
        # Then the end of the process is the end of the pipe
        sender.close()
        self._running[receiver] = name
        self._results[name] = None

    def results(self) -> dict[str, Any]:
        """Wait for all calls, and return their results by name, in the order of their start.

        The result of a process that ended without one is None.
        """
        while self._running:
            self._receive()
        results, self._results = self._results, {}
        return results

    def _receive(self) -> None:
        ready = wait(list(self._running))
        for receiver in [each for each in self._running if each in ready]:
            name = self._running.pop(receiver)
            # The process may have ended before its result, or within
            with receiver, contextlib.suppress(EOFError, OSError):
                self._results[name] = receiver.recv()


def _send_result(call: Callable[[], Any], sender: Connection) -> None:
    # Ansible's own handlers end the process group of the parent
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    sender.send(call())
