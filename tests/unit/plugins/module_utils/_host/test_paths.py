# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths are walked component by component, and only links that nobody else can have put there are followed."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host import paths

OWN = (os.geteuid(), os.getegid())
STRANGER = 12345


def is_directory(path: str, root: Path) -> bool:
    descriptor = paths.open_directory(path, str(root))
    try:
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestLinks:
    @pytest.mark.parametrize("target", ["real", "/a/real", "../a/./real"])
    def test_one_in_a_directory_of_this_user_alone_is_followed(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "a/real/below").mkdir(parents=True)
        (tmp_path / "a/link").symlink_to(target)
        assert is_directory("/a/link/below", tmp_path)

    @pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
    def test_one_that_others_can_have_put_there_is_an_error(self, tmp_path: Path, mode: int) -> None:
        (tmp_path / "shared/real").mkdir(parents=True)
        (tmp_path / "shared/link").symlink_to("real")
        (tmp_path / "shared").chmod(mode)
        with pytest.raises(paths.UnsafeLinkError, match="link is a symbolic link in a directory that is not root's"):
            paths.open_directory("/shared/link", str(tmp_path))
        assert is_directory("/shared/real", tmp_path)

    def test_links_that_lead_to_each_other_end(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError) as caught:
            paths.open_directory("/a", str(tmp_path))
        assert caught.value.errno == errno.ELOOP

    def test_the_status_of_a_link_is_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("nowhere")
        status = paths.entry_status("/link", str(tmp_path))
        assert status is not None and stat.S_ISLNK(status.st_mode)
        assert paths.entry_status("/none", str(tmp_path)) is None
        assert paths.entry_status("/link/below", str(tmp_path)) is None

    def test_a_file_on_the_way_is_no_directory(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError):
            paths.open_directory("/file/below", str(tmp_path))


class TestDirectories:
    def test_what_was_created_before_an_error_is_returned_with_it(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        created, error = paths.create_directories("/here/a/b/%s/c" % ("x" * 256), 0o750, OWN, str(tmp_path))
        assert created == ["/here/a", "/here/a/b"]
        assert error is not None and error.errno == errno.ENAMETOOLONG

    def test_the_modes_do_not_depend_on_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            assert paths.create_directories("/a/b", 0o771, None, str(tmp_path)) == (["/a", "/a/b"], None)
        finally:
            os.umask(before)
        assert [mode_of(tmp_path / path) for path in ("a", "a/b")] == [0o755, 0o771]

    @pytest.mark.parametrize(("mode", "is_shared"), [(0o755, False), (0o775, True), (0o757, True), (0o1777, True)])
    def test_one_that_others_can_write_to_is_shared_until_it_is_restricted(
        self, tmp_path: Path, mode: int, is_shared: bool
    ) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(mode)
        assert paths.is_shared_directory("/a", OWN, str(tmp_path)) is is_shared
        assert paths.restrict_directory("/a", OWN, str(tmp_path)) is is_shared
        assert mode_of(tmp_path / "a") == mode & ~0o022
        assert not paths.is_shared_directory("/a", OWN, str(tmp_path))

    def test_one_of_somebody_else_is_neither_examined_nor_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a").chmod(0o777)
        user = os.geteuid()
        # The directory belongs to a user that is neither root nor the user of the process.
        real = os.fstat
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        monkeypatch.setattr(os, "fstat", lambda descriptor: owned_by(STRANGER, real(descriptor)))
        for call in (paths.is_shared_directory, paths.restrict_directory):
            with pytest.raises(paths.ForeignDirectoryError, match="belongs to the user with the ID %d" % STRANGER):
                call("/a", OWN, str(tmp_path))
        assert mode_of(tmp_path / "a") == 0o777


def owned_by(user: int, status: os.stat_result) -> os.stat_result:
    values = list(status)
    values[stat.ST_UID] = user
    return os.stat_result(values)


class TestWrittenFiles:
    def test_one_is_for_its_owner_alone_by_default(self, tmp_path: Path) -> None:
        paths.write_file("/file", b"secret", False, str(tmp_path))
        assert ((tmp_path / "file").read_bytes(), mode_of(tmp_path / "file")) == (b"secret", 0o600)
        assert os.listdir(tmp_path) == ["file"]

    @pytest.mark.parametrize("replace", [True, False])
    def test_an_existing_one_is_replaced_only_on_demand(self, tmp_path: Path, replace: bool) -> None:
        (tmp_path / "file").write_bytes(b"old")
        if replace:
            paths.write_file("/file", b"new", True, str(tmp_path), 0o644)
        else:
            with pytest.raises(FileExistsError):
                paths.write_file("/file", b"new", False, str(tmp_path))
        assert (tmp_path / "file").read_bytes() == (b"new" if replace else b"old")
        assert os.listdir(tmp_path) == ["file"]

    def test_a_link_is_neither_replaced_nor_removed(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("target")
        with pytest.raises(paths.UnexpectedFileError):
            paths.write_file("/link", b"new", True, str(tmp_path))
        with pytest.raises(paths.UnexpectedFileError):
            paths.remove_regular_file("/link", str(tmp_path))
        assert os.listdir(tmp_path) == ["link"]

    def test_one_that_is_missing_counts_as_removed(self, tmp_path: Path) -> None:
        paths.remove_regular_file("/none/at/all", str(tmp_path))


class TestReadTail:
    def test_a_fifo_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        assert paths.read_tail("/fifo", 10, str(tmp_path)) == b""

    def test_a_link_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"secret")
        (tmp_path / "link").symlink_to("file")
        with pytest.raises(OSError):
            paths.read_tail("/link", 10, str(tmp_path))


def test_only_a_socket_without_a_listener_is_removed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        for path in ("/socket", "/file", "/none"):
            paths.remove_unused_socket(path, str(tmp_path))
        assert sorted(os.listdir(tmp_path)) == ["file", "socket"]
    paths.remove_unused_socket("/socket", str(tmp_path))
    assert os.listdir(tmp_path) == ["file"]
