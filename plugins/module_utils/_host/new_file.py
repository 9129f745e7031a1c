# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that gets its name only when it is complete, so that nobody ever finds half of it.

Until then it has a hidden name beside its own. One that a killed process left has the same hidden name and is removed:
whoever creates a file must hold a lock for its path.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from typing import NamedTuple, Optional

from .._errors.errors import VmError
from . import paths as host_paths

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_NAME = 100


class FileIdentity(NamedTuple):
    """The file that has a path, and when it was last written to."""

    device: int
    inode: int
    modified_ns: int
    size: int


def identity_of(status: os.stat_result) -> FileIdentity:
    """Return the identity of a file with this status."""
    return FileIdentity(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def partial_name(name: str) -> str:
    """Return the hidden name of a file that this host is creating."""
    digest = hashlib.sha256(os.fsencode("%s/%s" % (os.uname().nodename, name))).hexdigest()
    return ".%s.%s.partial" % (name[:_LONGEST_NAME], digest[:16])


class NewFile:
    """A file that is being created. Use it with C(with): unless it is published, it is removed."""

    def __init__(self, path: str, root: str = "/") -> None:
        self.final_path = path
        self._root = root
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> NewFile:
        with contextlib.ExitStack() as opened:
            try:
                self._parent, self._name = opened.enter_context(host_paths.opened_parent(self.final_path, self._root))
                self._partial = partial_name(self._name)
                _remove_partial(self._parent, self._partial, self.final_path)
                self.descriptor = os.open(self._partial, _CREATE, 0o600, dir_fd=self._parent)
            except OSError as error:
                raise _failed("create", self.final_path, error) from error
            opened.callback(os.close, self.descriptor)
            opened.callback(_remove_partial, self._parent, self._partial, self.final_path)
            self._cleanup = opened.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):
            self._cleanup.close()

    @property
    def path(self) -> str:
        """Return a path of the file for this process, and for children that inherit C(descriptor)."""
        return "/proc/self/fd/%d" % self.descriptor

    def publish(self, owner: Optional[tuple[int, int]], mode: int) -> Optional[FileIdentity]:
        """Give the complete file its owner, mode and name. Return None if something has the name already."""
        try:
            if owner is not None and os.geteuid() == 0:
                os.fchown(self.descriptor, *owner)
            os.fchmod(self.descriptor, mode)
            os.fsync(self.descriptor)
            # By the descriptor: somebody who can write to the directory may have replaced the hidden name.
            os.link(self.path, self._name, dst_dir_fd=self._parent, follow_symlinks=True)
            os.unlink(self._partial, dir_fd=self._parent)
            _sync_directory(self._parent)
        except FileExistsError:
            return None
        except OSError as error:
            raise _failed("create", self.final_path, error) from error
        return identity_of(os.fstat(self.descriptor))


def remove_if_unchanged(path: str, identity: FileIdentity, root: str = "/") -> bool:
    """Remove a file that nobody has written to since. Return whether it is gone."""
    try:
        with host_paths.opened_parent(path, root) as (parent, name):
            if identity_of(os.stat(name, dir_fd=parent, follow_symlinks=False)) != identity:
                return False
            os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise _failed("remove", path, error) from error
    return True


def remove_leftover(path: str, root: str = "/") -> None:
    """Remove what a killed process left of a file that it was creating."""
    try:
        with host_paths.opened_parent(path, root) as (parent, name):
            _remove_partial(parent, partial_name(name), path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _failed("remove what is left of", path, error) from error


def _remove_partial(parent: int, name: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise host_paths.UnexpectedFileError(path)
        os.unlink(name, dir_fd=parent)


def _sync_directory(descriptor: int) -> None:
    # fsync does not work on an O_PATH descriptor.
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        os.fsync(readable)
    finally:
        os.close(readable)


def _failed(what: str, path: str, error: OSError) -> VmError:
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "path_unwritable"
    if isinstance(error, host_paths.UnsafeLinkError):
        code = "path_unsafe"
    return VmError(code, "cannot %s %s: %s" % (what, path, error.strerror or error))
