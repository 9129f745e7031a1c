# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory in which the agent API and its playbooks exchange files, so that events and arguments have no secrets.

A task has up to three files, named by its token: C(.request) is the input of the playbook, with all secrets, and is
removed with the result; C(.result) is what the playbook leaves; C(.task) is what is needed to report the result, and
stays until that is done, so that it is not lost when the rulebook is killed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from .reply import failure
from .tasks import Task

MAX_RESULT = 1 << 20  # bytes
# For one playbook that runs: its result, and what Ansible writes on the way where it has its temporary files here too
ROOM = 2 << 20
# With less of it for each of them the disk counts as full. Room that is given early is taken by whoever fills the disk
LEAST_SPACE = 1 << 19

# What is kept of a task; other versions may have kept more.
_KEPT = ("uuid", "callback", "vm", "content")

logger = logging.getLogger("zstack.kvm.start_vm_cmd")

NO_RESULT = "the playbook left no result that can be read; see its output, and whether the VM runs"
STOPPED = "the agent API was stopped before the playbook had ended; see whether the VM runs"


class SpoolError(Exception):
    """The directory can't be used; the text says why, and what to do."""


class Spool:
    """A private directory, for one agent API alone.

    It keeps room for the results of so many playbooks.
    """

    def __init__(self, directory: str, parallel: int = 1) -> None:
        self._directory = Path(directory)
        self._parallel = parallel
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self._directory.stat()
            if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise SpoolError("%s holds secrets: it must belong to this user, with mode 0700" % directory)
            self._lock = (self._directory / "lock").open("w")
        except OSError as error:
            raise SpoolError("%s cannot be used: %s" % (directory, error.strerror)) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise SpoolError("another agent API uses %s: give each a spool of its own" % directory) from None
        try:
            self.keep_room(running=0)
        except OSError as error:
            self.close()
            raise SpoolError("%s cannot reserve space for results: %s" % (directory, error.strerror)) from None

    def close(self) -> None:
        """Release the directory for the next run."""
        self._lock.close()

    def request(self, token: str) -> Path:
        """Return the path of a task's request, which its playbook reads."""
        return self._directory / ("%s.request" % token)

    def result(self, token: str) -> Path:
        """Return the path of a task's result, which its playbook writes."""
        return self._directory / ("%s.result" % token)

    def _task(self, token: str) -> Path:
        return self._directory / ("%s.task" % token)

    def keep_room(self, running: int) -> None:
        """Keep room for the results of as many playbooks as may run, so many of which do.

        Where the disk gets full, those that run keep theirs. Raises C(OSError) if there is no room.
        """
        space, all_of_them = os.statvfs(self._directory), self._parallel * ROOM
        descriptor = os.open(self._directory / "room", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            kept = os.fstat(descriptor).st_size
            if space.f_bavail * space.f_frsize + kept - all_of_them < running * LEAST_SPACE:
                os.ftruncate(descriptor, min(kept, all_of_them - running * ROOM))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.posix_fallocate(descriptor, 0, all_of_them)
        finally:
            os.close(descriptor)

    def add(self, task: Task, arguments: Mapping[str, Any]) -> None:
        """Store a new task so that it survives the machine. Raises C(OSError) for no space; then nothing is stored."""
        try:
            _write(self.request(task.token), arguments)
            _write(self._task(task.token), {key: getattr(task, key) for key in _KEPT})
            _sync(self._directory)
        except BaseException:
            self.remove(task.token)
            raise

    def read_result(self, token: str) -> Optional[dict[str, Any]]:
        """Return the result of a task, None until it exists. Raises C(OSError) if it cannot be read."""
        try:
            with self.result(token).open("rb") as file:
                text = file.read(MAX_RESULT + 1)
        except FileNotFoundError:
            return None
        try:
            found = json.loads(text.decode("utf-8"))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("success"), bool):
            return failure(NO_RESULT)
        return {"error": "", **found} if found["success"] else failure(str(found.get("error")))

    def forget_request(self, token: str) -> None:
        """Remove what holds a task's secrets."""
        self.request(token).unlink(missing_ok=True)

    def remove(self, token: str) -> None:
        """Remove all of a task."""
        for path in (self.request(token), self.result(token), self._task(token)):
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove results that were left after their tasks were done."""
        # Tokens begin with a digit or letter, a file that Ansible has yet to rename with a dot
        for path in self._directory.glob("[0-9a-z]*.result"):
            if not self._task(path.stem).exists():
                path.unlink(missing_ok=True)

    def left_over(self) -> list[Task]:
        """Return the tasks that an earlier run did not report, with results, and remove everything else."""
        tasks = []
        for path in sorted(self._directory.glob("*.task"), key=lambda path: path.stat().st_mtime):
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                tasks.append(Task(token=path.stem, **{key: kept[key] for key in _KEPT}))
            except (KeyError, TypeError, ValueError):
                logger.error("the task in %s cannot be read; no callback is sent for it", path)
                path.unlink()
        for task in tasks:
            task.result = self.read_result(task.token) or failure(STOPPED)
            self.forget_request(task.token)
        kept = {self._task(task.token) for task in tasks} | {self.result(task.token) for task in tasks}
        for path in self._directory.iterdir():
            if path.suffix in (".request", ".result") and path not in kept:
                path.unlink()
        return tasks


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a new file that nobody else can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
