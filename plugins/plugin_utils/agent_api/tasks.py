# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks that the agent API received, and the order in which their playbooks may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional


@dataclass
class Task:
    """One document whose VM is started. C(token) is our own name of it, C(uuid) the sender's.

    It may begin once it is C(stored). Its playbook may take C(seconds); C(deadline) is when they are over, by the clock
    that C(Tasks.begin) is given.
    """

    token: str
    uuid: str
    callback: str
    vm: str
    content: str
    seconds: float = 0
    stored: bool = False
    running: bool = False
    deadline: float = 0
    result: Optional[Mapping[str, Any]] = None


class Tasks:
    """All tasks: those that wait, those that run, and the last of those that are done."""

    def __init__(self, parallel: int, waiting: int, remembered: int = 1000) -> None:
        self._parallel = parallel
        self._waiting = waiting
        self._remembered = remembered
        self._tasks: dict[str, Task] = {}

    def known(self, uuid: str) -> Optional[Task]:
        """Return the task with the sender's UUID."""
        return self._tasks.get(uuid)

    @property
    def full(self) -> bool:
        """Return whether as many wait as may wait."""
        return sum(not task.running and task.result is None for task in self._tasks.values()) >= self._waiting

    def add(self, task: Task) -> None:
        """Add a task with a new UUID; the oldest completed task may be forgotten for it."""
        done = [uuid for uuid, other in self._tasks.items() if other.result is not None]
        for uuid in done[: max(0, len(done) - self._remembered)]:
            del self._tasks[uuid]
        self._tasks[task.uuid] = task

    def drop(self, task: Task) -> None:
        """Remove a task that could not be stored."""
        del self._tasks[task.uuid]

    @property
    def running(self) -> list[Task]:
        """Return the running tasks."""
        return [task for task in self._tasks.values() if task.running]

    def begin(self, now: float) -> list[Task]:
        """Start and return the oldest waiting tasks, up to the limit, and one for each VM at a time."""
        begun = []
        busy = {task.vm for task in self.running}
        for task in self._tasks.values():
            if len(busy) >= self._parallel:
                break
            if task.stored and not task.running and task.result is None and task.vm not in busy:
                task.running = True
                task.deadline = now + task.seconds
                busy.add(task.vm)
                begun.append(task)
        return begun

    def finish(self, task: Task, result: Mapping[str, Any]) -> None:
        """Record the result of a task."""
        task.running = False
        task.result = result
