# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lock for each VM of a hypervisor, so that two tasks can't define and start it at the same time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from types import TracebackType
from typing import Optional

from .._errors.errors import VmError

_POLL_SECONDS = 0.05


def lock_directory() -> str:
    """Where the locks are: only root writes there, or for another user's own libvirt only that user."""
    if os.geteuid() == 0:
        return "/run/zstack-kvm"
    return os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/tmp"), "zstack-kvm-%d" % os.geteuid())  # nosec


class VmLock:
    """A flock on a file named by the VM's UUID. The kernel frees it when its process ends, however it ends.

    The file goes with the lock; one that a killed process left is taken over by the next.
    """

    def __init__(self, uuid: str, directory: Optional[str] = None) -> None:
        self._uuid = uuid
        self._directory = directory if directory is not None else lock_directory()
        self._path = os.path.join(self._directory, uuid + ".lock")
        self._descriptor: Optional[int] = None

    def acquire(self, timeout: float) -> VmLock:
        """Waits C(timeout) seconds at most, then raises C(vm_locked) with the process that has it."""
        deadline = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= deadline:
                raise VmError(
                    "vm_locked",
                    "another task%s has been working on this VM for more than %g seconds" % (self._holder(), timeout),
                )
            time.sleep(_POLL_SECONDS)
        return self

    def release(self) -> None:
        """Gives the lock to whoever comes next."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            os.close(descriptor)

    def __enter__(self) -> VmLock:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.release()

    def _try(self) -> bool:
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise VmError("path_unwritable", "cannot make the lock %s: %s" % (self._path, error)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who had it before has removed the file: a lock on what has no name protects nothing.
            if os.fstat(descriptor).st_ino != os.stat(self._path).st_ino:
                raise FileNotFoundError(errno.ENOENT, "replaced")
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        # Only for the message of whoever waits: a full file system is no reason to go without.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
        return True

    def _holder(self) -> str:
        try:
            with open(self._path, encoding="ascii") as file:
                return " (process %d)" % int(file.read())
        except (OSError, ValueError):
            return ""
