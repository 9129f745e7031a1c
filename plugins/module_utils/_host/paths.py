# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories that are reached by descriptors, component by component.

Nobody can replace a component between the look at it and its use. A symbolic link is followed only where nobody but
root (or the user of this process) can put one; what is created is never owned or changed by its path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

_ENTER = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_MAX_LINKS = 40
_COMMAND_SECONDS = 30

Owner = tuple[int, int]


class UnsafeLinkError(OSError):
    """A symbolic link on the way that a user other than root could have put there."""

    def __init__(self, path: str, link: str) -> None:
        super().__init__(errno.ELOOP, "%s is a symbolic link in a directory that is not root's alone" % link, path)


class UnexpectedFileError(FileExistsError):
    """Something other than a regular file where one is to be written or removed."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EEXIST, "something other than a regular file is there", path)


def open_directory(path: str, root: str = "/") -> int:
    """Open a directory, for use as C(dir_fd). Raises L(UnsafeLinkError) or what the system raises."""
    return _walk(path, root, follow_last=True, directory=True)


def open_entry(path: str, root: str = "/") -> int:
    """Open whatever has the path, itself where it is a symbolic link, for C(fstat) alone."""
    return _walk(path, root, follow_last=False, directory=False)


@contextmanager
def opened_parent(path: str, root: str = "/") -> Iterator[tuple[int, str]]:
    """Return the descriptor of the directory that a path is in, and the path's last component."""
    parent, _slash, name = path.rstrip("/").rpartition("/")
    descriptor = open_directory(parent or "/", root)
    try:
        yield descriptor, name
    finally:
        os.close(descriptor)


def entry_status(path: str, root: str = "/") -> Optional[os.stat_result]:
    """Return the status of what has the path, of a link itself; None if there is nothing."""
    try:
        descriptor = open_entry(path, root)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def create_directories(
    path: str, mode: int, owner: Optional[Owner], root: str = "/"
) -> tuple[list[str], Optional[OSError]]:
    """Create a directory with C(mode) and C(owner), and its missing parents with 0755.

    Returns what was created, outermost first, and the error that ended it.
    """
    created: list[str] = []
    parts = _parts(path)
    try:
        for count in range(1, len(parts) + 1):
            directory = "/" + "/".join(parts[:count])
            if not _is_missing(directory, root):
                continue
            is_last = count == len(parts)
            with contextlib.suppress(FileExistsError), opened_parent(directory, root) as (parent, name):
                _create_directory(parent, name, mode if is_last else 0o755, owner, is_last)
                created.append(directory)
        os.close(open_directory(path, root))
    except OSError as error:
        return created, error
    return created, None


class ForeignDirectoryError(PermissionError):
    """A directory of a user other than root, the user of this process and the one that is to own it."""

    def __init__(self, path: str, owner: int) -> None:
        super().__init__(errno.EPERM, "it belongs to the user with the ID %d" % owner, path)


def is_shared_directory(path: str, owner: Optional[Owner], root: str = "/") -> bool:
    """Return whether others than C(owner) and root can create entries in a directory, or C(owner) cannot.

    Raises L(ForeignDirectoryError) if it belongs to somebody else.
    """
    descriptor = open_directory(path, root)
    try:
        return _is_shared(path, os.fstat(descriptor), owner)
    finally:
        os.close(descriptor)


def restrict_directory(path: str, owner: Optional[Owner], root: str = "/") -> bool:
    """Give a directory to C(owner), let nobody else create entries in it, and return whether that was a change.

    Raises L(ForeignDirectoryError) if it belongs to somebody else.
    """
    entered = open_directory(path, root)
    try:
        descriptor = os.open(".", _READ_DIRECTORY, dir_fd=entered)
    finally:
        os.close(entered)
    try:
        status = os.fstat(descriptor)
        if not _is_shared(path, status, owner):
            return False
        os.fchmod(descriptor, (stat.S_IMODE(status.st_mode) & ~_WRITABLE_BY_OTHERS) | stat.S_IRWXU)
        if owner is not None:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)
    return True


def _is_shared(path: str, status: os.stat_result, owner: Optional[Owner]) -> bool:
    user = os.geteuid() if owner is None else owner[0]
    if status.st_uid not in (0, os.geteuid(), user):
        raise ForeignDirectoryError(path, status.st_uid)
    return status.st_uid != user or bool(status.st_mode & _WRITABLE_BY_OTHERS)


def remove_directory(path: str, root: str = "/") -> None:
    """Remove an empty directory."""
    with opened_parent(path, root) as (parent, name):
        os.rmdir(name, dir_fd=parent)


def write_file(
    path: str, data: bytes, replace: bool, root: str = "/", mode: int = 0o600, owner: Optional[Owner] = None
) -> None:
    """Write a file that by default only its owner can read, whole or not at all; its parent directory must exist.

    C(replace): a regular file that has the path is replaced. Raises L(FileExistsError) for anything else.
    """
    with opened_parent(path, root) as (parent, name):
        _check_regular(parent, name, path)
        partial = ".%s.%s" % (name[:200], os.urandom(8).hex())
        descriptor = os.open(partial, _CREATE, 0o600, dir_fd=parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if owner is not None:
                    os.fchown(descriptor, *owner)
                os.fchmod(descriptor, mode)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            if replace:
                os.replace(partial, name, src_dir_fd=parent, dst_dir_fd=parent)
            else:
                os.link(partial, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
                os.unlink(partial, dir_fd=parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial, dir_fd=parent)
            raise


def remove_regular_file(path: str, root: str = "/") -> None:
    """Remove a regular file; none is fine."""
    with contextlib.suppress(FileNotFoundError), opened_parent(path, root) as (parent, name):
        _check_regular(parent, name, path)
        os.unlink(name, dir_fd=parent)


def read_tail(path: str, size: int, root: str = "/") -> bytes:
    """Return the last bytes of a regular file, none of anything else; a last component that is a link is an error."""
    with opened_parent(path, root) as (parent, name):
        # Not to wait for the other end of a FIFO.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b""
        file.seek(max(0, status.st_size - size))
        return file.read(size)


def socket_has_listener(path: str, root: str = "/") -> bool:
    """Return whether somebody listens on a unix socket, or may do so: only a refusal says that nobody does."""
    entry = open_entry(path, root)
    try:
        return _has_listener(entry)
    finally:
        os.close(entry)


def remove_unused_socket(path: str, root: str = "/") -> None:
    """Remove a socket that nobody listens on; whatever else has the path stays."""
    with contextlib.suppress(FileNotFoundError), opened_parent(path, root) as (parent, name):
        entry = os.open(name, _ENTER, dir_fd=parent)
        try:
            if stat.S_ISSOCK(os.fstat(entry).st_mode) and not _has_listener(entry):
                os.unlink(name, dir_fd=parent)
        finally:
            os.close(entry)


def _has_listener(entry: int) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect("/proc/self/fd/%d" % entry)
        except ConnectionRefusedError:
            return False
        except OSError:
            pass
    return True


def is_roots_alone(status: os.stat_result) -> bool:
    """Return whether nobody but root, or the user of this process, can change what is in a directory."""
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & _WRITABLE_BY_OTHERS


def _keeps_ours(status: os.stat_result) -> bool:
    """Return whether nobody else can rename or remove what this process creates in a directory, as in /tmp."""
    return is_roots_alone(status) or (status.st_uid in (0, os.geteuid()) and bool(status.st_mode & stat.S_ISVTX))


def _check_regular(parent: int, name: str, path: str) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise UnexpectedFileError(path)


def _is_missing(directory: str, root: str) -> bool:
    try:
        os.close(open_directory(directory, root))
    except FileNotFoundError:
        return True
    return False


def _create_directory(parent: int, name: str, mode: int, owner: Optional[Owner], is_last: bool) -> None:
    """Create a directory. If others can replace it, create it with its final owner instead of changing it."""
    if _keeps_ours(os.fstat(parent)):
        os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, _READ_DIRECTORY, dir_fd=parent)
        try:
            if owner is not None and is_last:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
    elif owner is None or owner[0] == os.geteuid():
        os.mkdir(name, mode, dir_fd=parent)
    else:
        _create_directory_as(owner, parent, name, mode)


def _create_directory_as(owner: Owner, parent: int, name: str, mode: int) -> None:
    """Create a directory in a process of its owner, which gains the owner no permission."""
    # run_command, which pylint suggests, supports neither users nor descriptors.
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        ["mkdir", "-m", "%o" % mode, "--", name],
        cwd="/proc/self/fd/%d" % parent,
        user=owner[0],
        group=owner[1],
        extra_groups=[],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=parent, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        raise PermissionError(errno.EACCES, "user %d may not create %s in its parent directory" % (owner[0], name))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _walk(path: str, root: str, follow_last: bool, directory: bool) -> int:
    coming = deque(_parts(path))
    links = 0
    current = os.open(root, _ENTER | os.O_DIRECTORY)
    try:
        while coming:
            part = coming.popleft()
            entered = _enter(part, current)
            status = os.fstat(entered)
            if stat.S_ISLNK(status.st_mode) and (coming or follow_last):
                target = _read_link(entered, current, path, part)
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                coming.extendleft(reversed(_parts(target)))
                entered = os.open(root if target.startswith("/") else ".", _ENTER | os.O_DIRECTORY, dir_fd=current)
            os.close(current)
            current = entered
            if (coming or directory) and not stat.S_ISDIR(os.fstat(current).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    except BaseException:
        os.close(current)
        raise
    return current


def _enter(name: str, parent: int) -> int:
    try:
        # An automounter mounts only what is opened as a directory.
        return os.open(name, _ENTER | os.O_DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
    return os.open(name, _ENTER, dir_fd=parent)


def _read_link(link: int, parent: int, path: str, name: str) -> str:
    """Return where a link leads to, and close it. Raises L(UnsafeLinkError)."""
    try:
        if not is_roots_alone(os.fstat(parent)):
            raise UnsafeLinkError(path, name)
        return os.readlink("", dir_fd=link)
    finally:
        os.close(link)
