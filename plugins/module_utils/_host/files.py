# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the hypervisor."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Optional, Union

from .._errors.errors import VmError
from . import paths as host_paths

_KINDS = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISBLK, "block"),
    (stat.S_ISSOCK, "socket"),
)
_UNSAFE = (host_paths.UnsafeLinkError, host_paths.ForeignDirectoryError)


def _unwritable(what: str, path: str, error: OSError) -> VmError:
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "path_unwritable"
    if isinstance(error, _UNSAFE):
        code = "path_unsafe"
    return VmError(code, "cannot %s %s: %s" % (what, path, error.strerror or error))


def _unreadable(path: str, error: OSError) -> VmError:
    code = "path_unsafe" if isinstance(error, _UNSAFE) else "path_unreadable"
    return VmError(code, "cannot look at %s: %s" % (path, error.strerror or error))


def _has_size(entry: os.DirEntry[str], size: int) -> bool:
    try:
        return entry.is_file() and entry.stat().st_size >= size
    except OSError:
        return False


class Files:
    """The files of the machine that the code runs on, or a simulated tree below C(root)."""

    def __init__(self, root: str = "/") -> None:
        self.root = root

    def path(self, path: str) -> str:
        """Return where a path of the hypervisor is on this machine."""
        return path if self.root == "/" else os.path.join(self.root, path.lstrip("/"))

    def is_hidden(self, path: str) -> bool:
        """Return whether this user may not read what is at a path, or not even see whether anything is there."""
        try:
            os.stat(self.path(path))
        except PermissionError:
            return True
        except (OSError, ValueError):
            return False
        return not os.access(self.path(path), os.R_OK)

    def may_create(self, path: str) -> bool:
        """Return whether this user may create the missing directories of C(path), and files in them."""
        directory = os.path.dirname(path)
        while directory != "/" and not os.path.lexists(self.path(directory)):
            directory = os.path.dirname(directory)
        return os.access(self.path(directory), os.W_OK | os.X_OK)

    def path_kind(self, path: str) -> Optional[str]:
        """Return file, directory, block, socket or other; None if nothing exists there (as for a dangling link)."""
        try:
            mode = os.stat(self.path(path)).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise VmError("path_unreadable", "cannot look at %s: %s" % (path, error)) from error
        return next((kind for test, kind in _KINDS if test(mode)), "other")

    def free_space(self, directory: str) -> tuple[int, int]:
        """Return the number of the file system that a directory is in, and how many bytes this user may still write."""
        try:
            device, space = os.stat(self.path(directory)).st_dev, os.statvfs(self.path(directory))
        except OSError as error:
            raise VmError("path_unreadable", "cannot look at %s: %s" % (directory, error)) from error
        blocks = space.f_bfree if os.geteuid() == 0 else space.f_bavail
        return device, blocks * space.f_frsize

    def real_path(self, path: str) -> str:
        """Return the path with links resolved, whether or not it exists."""
        return os.path.realpath(self.path(path))

    def read_text(self, path: str) -> Optional[str]:
        """Return the text of a small file, None if it does not exist."""
        try:
            with open(self.path(path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise VmError("path_unreadable", "cannot read %s: %s" % (path, error)) from error

    def read_head(self, path: str, size: int) -> Optional[bytes]:
        """Return the first C(size) bytes of a file, None if it does not exist."""
        try:
            with open(self.path(path), "rb") as file:
                return file.read(size)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise VmError("path_unreadable", "cannot read %s: %s" % (path, error)) from error

    def read_tail(self, path: str, size: int) -> str:
        """Return the last C(size) bytes of a regular file as text, empty if it does not exist; no link is followed."""
        try:
            return host_paths.read_tail(path, size, self.root).decode("utf-8", "replace")
        except OSError:
            return ""

    def file_size(self, path: str) -> int:
        """Return the size of a file in bytes, 0 if it does not exist; no link is followed."""
        status = self._status(path)
        return 0 if status is None else status.st_size

    def list_directory(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none if it doesn't exist."""
        try:
            return sorted(os.listdir(self.path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise VmError("path_unreadable", "cannot list %s: %s" % (path, error)) from error

    def files_in(self, directory: str, least_size: int, recursive: bool) -> Iterator[str]:
        """Yield the files in a directory that have so many bytes, also those that links lead to.

        C(recursive): also the files below it; links to directories are not followed. Raises C(path_unreadable) for a
        directory that can't be listed.
        """
        directories = [directory]
        while directories:
            try:
                with os.scandir(self.path(directories.pop())) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise VmError("path_unreadable", "cannot list %s: %s" % (error.filename, error.strerror)) from error
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    directories += [entry.path] if recursive else []
                elif _has_size(entry, least_size):
                    yield entry.path

    def link_name(self, path: str) -> Optional[str]:
        """Return the last part of what a symbolic link leads to, None if it is no link."""
        try:
            return os.path.basename(os.readlink(self.path(path)))
        except OSError:
            return None

    def entry_kind(self, path: str) -> Optional[str]:
        """Return what has the path as L(path_kind) does, but C(link) for a symbolic link."""
        status = self._status(path)
        if status is None:
            return None
        if stat.S_ISLNK(status.st_mode):
            return "link"
        return next((kind for test, kind in _KINDS if test(status.st_mode)), "other")

    def _status(self, path: str) -> Optional[os.stat_result]:
        try:
            return host_paths.entry_status(path, self.root)
        except OSError as error:
            raise _unreadable(path, error) from error

    def make_directory(self, path: str, mode: int, owner: Optional[tuple[int, int]] = None) -> list[str]:
        """Create C(path), which gets C(mode) and C(owner) (user and group id), and its parents, which get 0755.

        Returns what was created, outermost first, for L(remove_directories); a directory that exists is left as it is.
        """
        created, error = host_paths.create_directories(path, mode, owner, self.root)
        if error is not None:
            self.remove_directories(created)
            raise _unwritable("create the directory", path, error) from error
        return created

    def is_shared_directory(self, path: str, owner: Optional[tuple[int, int]]) -> bool:
        """Return whether others than C(owner) and root can create entries in a directory, or C(owner) cannot.

        Raises C(path_unsafe) if it belongs to somebody else.
        """
        try:
            return host_paths.is_shared_directory(path, owner, self.root)
        except OSError as error:
            raise _unreadable(path, error) from error

    def restrict_directory(self, path: str, owner: Optional[tuple[int, int]]) -> bool:
        """Give a directory to C(owner), let nobody else create entries in it, and return whether that was a change.

        Raises C(path_unsafe) if it belongs to somebody else.
        """
        try:
            return host_paths.restrict_directory(path, owner, self.root)
        except OSError as error:
            raise _unwritable("change the directory", path, error) from error

    def remove_directories(self, paths: Sequence[str]) -> None:
        """Remove directories, innermost last in C(paths); one that is not empty stays, as it is in use."""
        for path in reversed(paths):
            try:
                host_paths.remove_directory(path, self.root)
            except OSError:
                return

    def write_private_file(self, path: str, content: Union[str, bytes], replace: bool = True) -> None:
        """Write a file that only its owner can read, whole or not at all; C(replace): also if one exists. Raises
        C(path_taken) for anything that may not be replaced.
        """
        data = content.encode("utf-8") if isinstance(content, str) else content
        self.make_directory(os.path.dirname(path), 0o700)
        try:
            host_paths.write_file(path, data, replace, self.root)
        except FileExistsError as error:
            raise VmError("path_taken", "cannot write %s: %s" % (path, error.strerror)) from error
        except OSError as error:
            raise _unwritable("write", path, error) from error

    def write_owned_file(self, path: str, content: bytes, mode: int, owner: Optional[tuple[int, int]]) -> None:
        """Write a file with that mode and owner, whole or not at all, in a directory that exists."""
        try:
            host_paths.write_file(path, content, True, self.root, mode, owner)
        except FileExistsError as error:
            raise VmError("path_taken", "cannot write %s: %s" % (path, error.strerror)) from error
        except OSError as error:
            raise _unwritable("write", path, error) from error

    def remove_file(self, path: str) -> None:
        """Remove a regular file; none is fine. Raises C(path_taken) for anything else."""
        try:
            host_paths.remove_regular_file(path, self.root)
        except FileExistsError as error:
            raise VmError("path_taken", "cannot remove %s: %s" % (path, error.strerror)) from error
        except OSError as error:
            raise _unwritable("remove", path, error) from error

    def remove_socket(self, path: str) -> None:
        """Remove a socket that nobody listens on; whatever else has the path stays."""
        try:
            host_paths.remove_unused_socket(path, self.root)
        except OSError as error:
            raise _unwritable("remove", path, error) from error
