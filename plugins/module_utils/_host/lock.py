# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of a hypervisor: of each VM, so that two tasks cannot start it at once, and of what VMs share."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from types import TracebackType
from typing import Optional

from .._errors.errors import VmError
from ..waiting import wait_until
from . import paths as host_paths

_POLL_SECONDS = 0.05
_LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def lock_directory() -> str:
    """Return the directory of the locks, which only root can write to, or only the user of a session libvirt."""
    user = os.geteuid()
    if user == 0:
        return "/run/zstack-kvm"
    candidates = (os.environ.get("XDG_RUNTIME_DIR", ""), "/run/user/%d" % user)
    found = (path for path in candidates if path.startswith("/") and _is_ours(path))
    return os.path.join(next(found, "/tmp"), "zstack-kvm-%d" % user)  # nosec


def _is_ours(directory: str) -> bool:
    try:
        descriptor = host_paths.open_directory(directory)
    except OSError:
        return False
    try:
        return _is_private(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and host_paths.is_roots_alone(status)


def vm_lock(uuid: str, directory: Optional[str] = None) -> HostLock:
    """Return the lock of a VM."""
    return HostLock(uuid, "this VM", "vm_locked", directory)


class HostLock:
    """A flock on a file of a directory that is this user's alone. The kernel frees it when its process ends.

    The file goes with the lock; one that a killed process left is taken over by the next. C(label) names what is locked
    in messages. C(code): the error if it is not freed in time.
    """

    def __init__(self, name: str, label: str, code: str, directory: Optional[str] = None) -> None:
        self._label = label
        self._code = code
        self._directory = directory if directory is not None else lock_directory()
        self._name = name + ".lock"
        self._path = os.path.join(self._directory, self._name)
        self._held: Optional[_Held] = None

    def acquire(self, timeout: float, cancelled: Optional[threading.Event] = None) -> HostLock:
        """Wait C(timeout) seconds at most, then raise an error that names the process that has it.

        Raise C(interrupted) when C(cancelled) is set.
        """
        if not wait_until(self._try, timeout, cancelled, _POLL_SECONDS):
            message = "another task%s has been working on %s for more than %g seconds"
            raise VmError(self._code, message % (self._holder(), self._label, timeout))
        if cancelled is not None and cancelled.is_set():
            self.release()
            raise VmError("interrupted", "the task was interrupted")
        return self

    def release(self) -> None:
        """Release the lock."""
        held, self._held = self._held, None
        if held is not None:
            held.release(self._name)

    def __enter__(self) -> HostLock:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.release()

    def _try(self) -> bool:
        try:
            held = _Held(self._open_directory())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._held = held if held.take(self._name) else None
        except OSError as error:
            held.close()
            raise self._unusable(error) from error
        return self._held is not None

    def _open_directory(self) -> int:
        _created, error = host_paths.create_directories(self._directory, 0o700, None)
        if error is not None:
            raise error
        descriptor = host_paths.open_directory(self._directory)
        try:
            if not _is_private(os.fstat(descriptor)):
                raise PermissionError(errno.EPERM, "%s belongs to, or is writable for, others" % self._directory)
            # flock does not work on an O_PATH descriptor.
            return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)
        finally:
            os.close(descriptor)

    def _unusable(self, error: OSError) -> VmError:
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "path_unwritable"
        return VmError(code, "cannot use the lock %s: %s" % (self._path, error.strerror or error))

    def _holder(self) -> str:
        try:
            with host_paths.opened_parent(self._path) as (parent, name):
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            with open(descriptor, encoding="ascii") as file:
                return " (process %d)" % int(file.read())
        except (OSError, ValueError):
            return ""


class _Held:
    """The descriptors of a lock: its directory's, and its file's once it is taken."""

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._file: Optional[int] = None

    def take(self, name: str) -> bool:
        """Return whether the lock was acquired; if not, everything is closed."""
        try:
            self._file = os.open(name, _LOCK_FILE, 0o600, dir_fd=self._directory)
            # systemd-tmpfiles, which removes old files, leaves a directory alone that is locked.
            fcntl.flock(self._directory, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder has removed the file: a lock on a file without a name protects nothing.
            if not self._has_name(name):
                raise FileNotFoundError(errno.ENOENT, "replaced")
        except (BlockingIOError, FileNotFoundError):
            self.close()
            return False
        # Only for the message of another task: a full file system is no reason to fail.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            os.write(self._file, b"%d\n" % os.getpid())
        return True

    def release(self, name: str) -> None:
        """Remove the file, if it still is this lock's, and free the lock."""
        with contextlib.suppress(OSError):
            if self._has_name(name):
                os.unlink(name, dir_fd=self._directory)
        self.close()

    def close(self) -> None:
        """Close the descriptors, which frees the lock."""
        if self._file is not None:
            os.close(self._file)
        os.close(self._directory)

    def _has_name(self, name: str) -> bool:
        if self._file is None:
            return False
        own, named = os.fstat(self._file), os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        return (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino)
