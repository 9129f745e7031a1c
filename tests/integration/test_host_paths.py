# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another user tries to gain access through files and directories that root handles; the tests run as root."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.lock import lock_directory, vm_lock
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem

OTHER = (64321, 64321)
RACE_SECONDS = 3.0
SWAPPED_SECONDS = 0.0005
UMASKS = (0o000, 0o077)

FILES = HostSystem().files
UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"


@pytest.fixture
def top() -> Iterator[Path]:
    """Yield a directory that another user can reach."""
    directory = Path(tempfile.mkdtemp(prefix="zstack-kvm-paths-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def theirs(top: Path) -> Path:
    """Return a directory that belongs to the other user."""
    directory = top / "theirs"
    directory.mkdir(mode=0o755)
    os.chown(directory, *OTHER)
    return directory


@pytest.fixture
def roots(top: Path) -> Path:
    """Return a file that only root may see."""
    file = top / "secret"
    file.write_text("root's", encoding="utf-8")
    file.chmod(0o600)
    return file


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("value", UMASKS)
class TestModes:
    def test_of_directories(self, top: Path, value: int) -> None:
        with umask(value):
            created = FILES.make_directory(str(top / "a/b"), 0o750, OTHER)
        assert created == [str(top / "a"), str(top / "a/b")]
        assert (mode(top / "a"), mode(top / "a/b")) == (0o755, 0o750)
        assert ((top / "a").stat().st_uid, (top / "a/b").stat().st_uid) == (0, OTHER[0])

    def test_of_directories_in_one_of_another_user(self, theirs: Path, value: int) -> None:
        with umask(value):
            FILES.make_directory(str(theirs / "a/b"), 0o750, OTHER)
        assert (mode(theirs / "a"), mode(theirs / "a/b")) == (0o755, 0o750)
        assert (theirs / "a").stat().st_uid == (theirs / "a/b").stat().st_uid == OTHER[0]

    def test_of_files_and_their_directories(self, top: Path, value: int) -> None:
        with umask(value):
            FILES.write_private_file(str(top / "a/b/file"), "text")
        assert [mode(top / path) for path in ("a", "a/b", "a/b/file")] == [0o755, 0o700, 0o600]


class TestLinks:
    def test_of_root_are_followed(self, top: Path) -> None:
        (top / "real").mkdir(mode=0o755)
        (top / "link").symlink_to("real")
        (top / "absolute").symlink_to(top / "real")
        FILES.make_directory(str(top / "link/a"), 0o750)
        FILES.write_private_file(str(top / "absolute/../link/b"), "text")
        assert sorted(os.listdir(top / "real")) == ["a", "b"]

    def test_in_a_directory_of_another_user_are_not(self, theirs: Path, top: Path) -> None:
        (top / "target").mkdir()
        (theirs / "link").symlink_to(top / "target")
        for use in (
            lambda path: FILES.make_directory(path, 0o750, OTHER),
            lambda path: FILES.write_private_file(path, "text"),
            FILES.remove_file,
            FILES.remove_socket,
        ):
            with pytest.raises(VmError) as caught:
                use(str(theirs / "link/name"))
            assert caught.value.code == "path_unsafe"
        assert os.listdir(top / "target") == []

    def test_that_lead_in_circles_are_an_error(self, top: Path) -> None:
        (top / "link").symlink_to("link")
        with pytest.raises(VmError) as caught:
            FILES.write_private_file(str(top / "link/name"), "text")
        assert caught.value.code == "path_unwritable"

    def test_that_lead_nowhere_are_no_directories(self, top: Path) -> None:
        (top / "link").symlink_to("nowhere")
        with pytest.raises(VmError) as caught:
            FILES.make_directory(str(top / "link"), 0o750, OTHER)
        assert caught.value.code == "path_unwritable"

    def test_the_end_of_a_file_is_not_read_through_one(self, roots: Path, theirs: Path) -> None:
        (theirs / "log").symlink_to(roots)
        assert FILES.read_tail(str(theirs / "log"), 99) == ""


class TestWhatIsThere:
    @pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "link"])
    def test_is_neither_replaced_nor_removed_unless_it_is_a_file(self, top: Path, roots: Path, kind: str) -> None:
        path = top / "there"
        with socket.socket(socket.AF_UNIX) as server:
            create = {
                "directory": path.mkdir,
                "fifo": lambda: os.mkfifo(path),
                "socket": lambda: server.bind(str(path)),
                "link": lambda: path.symlink_to(roots),
            }
            create[kind]()
        before = path.lstat()
        for use in (lambda name: FILES.write_private_file(name, "text"), FILES.remove_file):
            with pytest.raises(VmError) as caught:
                use(str(path))
            assert caught.value.code == "path_taken"
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
        assert roots.read_text(encoding="utf-8") == "root's"

    def test_is_kept_where_a_new_file_is_wanted(self, roots: Path) -> None:
        with pytest.raises(VmError) as caught:
            FILES.write_private_file(str(roots), "text", replace=False)
        assert caught.value.code == "path_taken"
        assert roots.read_text(encoding="utf-8") == "root's"
        assert os.listdir(roots.parent) == [roots.name]

    def test_stays_when_a_socket_is_to_be_removed(self, roots: Path) -> None:
        FILES.remove_socket(str(roots))
        assert roots.exists()

    def test_a_socket_stays_while_somebody_listens(self, top: Path) -> None:
        path = top / "socket"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            FILES.remove_socket(str(path))
            assert path.exists()
        FILES.remove_socket(str(path))
        assert not path.exists()


class TestADirectoryOfSockets:
    @pytest.mark.parametrize(("before", "after"), [(0o777, 0o755), (0o1777, 0o1755), (0o070, 0o750), (0o750, 0o750)])
    def test_becomes_its_users_alone(self, top: Path, before: int, after: int) -> None:
        directory = top / "sockets"
        directory.mkdir()
        directory.chmod(before)
        assert FILES.is_shared_directory(str(directory), OTHER)
        assert FILES.restrict_directory(str(directory), OTHER)
        status = directory.stat()
        assert (mode(directory), status.st_uid, status.st_gid) == (after, *OTHER)
        assert not FILES.is_shared_directory(str(directory), OTHER)
        assert not FILES.restrict_directory(str(directory), OTHER)

    @pytest.mark.parametrize("use", [FILES.is_shared_directory, FILES.restrict_directory])
    def test_of_somebody_else_is_not_touched(self, theirs: Path, use: Callable[..., bool]) -> None:
        with pytest.raises(VmError) as caught:
            use(str(theirs), (OTHER[0] + 1, OTHER[1]))
        assert caught.value.code == "path_unsafe"
        assert f"it belongs to the user with the ID {OTHER[0]}" in caught.value.message
        assert (mode(theirs), theirs.stat().st_uid) == (0o755, OTHER[0])

    @pytest.mark.parametrize("use", [FILES.is_shared_directory, FILES.restrict_directory])
    def test_is_not_reached_through_a_link_of_another_user(
        self, theirs: Path, top: Path, use: Callable[..., bool]
    ) -> None:
        (top / "target").mkdir(mode=0o755)
        (theirs / "link").symlink_to(top / "target")
        with pytest.raises(VmError) as caught:
            use(str(theirs / "link"), OTHER)
        assert caught.value.code == "path_unsafe"
        assert (top / "target").stat().st_uid == 0


def swap_forever(theirs: Path, roots: Path, directory: Path) -> None:
    """As the other user, replace whatever appears as theirs/run by something that belongs to root."""
    os.setgroups([])
    os.setgid(OTHER[1])
    os.setuid(OTHER[0])
    name, aside = str(theirs / "run"), str(theirs / "aside")
    for turn in itertools.count():
        while True:
            with contextlib.suppress(OSError):
                os.rename(name, aside)
                break
        # Even root's directory can be renamed if its parent is theirs.
        swapped = str(theirs / "roots") if turn % 3 == 2 else ""
        with contextlib.suppress(OSError):
            if swapped:
                os.rename(swapped, name)
            else:
                os.symlink((roots, directory)[turn % 3], name)
        end = time.monotonic() + SWAPPED_SECONDS
        while time.monotonic() < end:
            pass
        with contextlib.suppress(OSError):
            if swapped:
                os.rename(name, swapped)
            else:
                os.unlink(name)
        for remove in (os.rmdir, os.unlink):
            with contextlib.suppress(OSError):
                remove(aside)


def test_a_race_with_the_owner_of_the_parent_gains_nothing(theirs: Path, roots: Path, top: Path) -> None:
    directory = top / "private"
    directory.mkdir(mode=0o700)
    (theirs / "roots").mkdir(mode=0o700)
    # They may remove an empty directory.
    (theirs / "roots/file").touch()
    inode = (theirs / "roots").stat().st_ino
    child = os.fork()
    if child == 0:
        try:
            swap_forever(theirs, roots, directory)
        finally:
            os._exit(1)
    tries = 0
    deadline = time.monotonic() + RACE_SECONDS
    try:
        while time.monotonic() < deadline:
            tries += 1
            with contextlib.suppress(VmError):
                FILES.make_directory(str(theirs / "run"), 0o750, OTHER)
            with contextlib.suppress(VmError):
                FILES.write_private_file(str(theirs / "run/file"), "text")
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the attacker has ended"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert tries > 20
    (swapped,) = [path for path in theirs.iterdir() if path.lstat().st_ino == inode]
    for path, expected in ((roots, 0o600), (directory, 0o700), (swapped, 0o700)):
        assert (path.stat().st_uid, mode(path)) == (0, expected)
    assert roots.read_text(encoding="utf-8") == "root's"
    assert os.listdir(directory) == []


class TestLockDirectory:
    """That of a user who isn't root, simulated with root's own files."""

    @pytest.fixture(autouse=True)
    def user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)

    def test_is_the_one_of_the_session_where_that_is_the_users(
        self, top: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(top))
        assert lock_directory() == "/tmp/zstack-kvm-4711"
        os.chown(top, 4711, 4711)
        assert lock_directory() == f"{top}/zstack-kvm-4711"
        top.chmod(0o770)
        assert lock_directory() == "/tmp/zstack-kvm-4711"

    @pytest.mark.parametrize("what", ["another user's", "writable for others", "a link"])
    def test_is_used_only_when_it_is_the_users(self, top: Path, what: str) -> None:
        directory = top / "locks"
        directory.mkdir()
        os.chown(directory, 4711 if what != "another user's" else 4712, 4711)
        directory.chmod(0o777 if what == "writable for others" else 0o700)
        if what == "a link":
            top.chmod(0o1777)
            os.symlink(directory, top / "link")
            directory = top / "link"
        with pytest.raises(VmError) as caught:
            vm_lock(UUID, str(directory)).acquire(0)
        assert caught.value.code == "path_unwritable"
        assert os.listdir(directory) == []
