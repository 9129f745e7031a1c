# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the hypervisor, on real file trees, and the error codes for what cannot be read or written."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.files import Files
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host.tree import write


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path))


def code_of(call: Callable[..., object], *arguments: Any) -> str:
    with pytest.raises(VmError) as caught:
        call(*arguments)
    return caught.value.code


class TestKinds:
    def test_a_link_is_what_it_leads_to_and_as_an_entry_itself(self, tmp_path: Path, files: Files) -> None:
        write(tmp_path, "/file")
        (tmp_path / "lost").symlink_to("/nowhere/at/all")
        (tmp_path / "link").symlink_to("file")
        os.mkfifo(tmp_path / "fifo")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "socket"))
        found = {
            path: (files.path_kind(path), files.entry_kind(path))
            for path in ("/", "/file", "/lost", "/link", "/socket", "/fifo", "/none", "/file/below")
        }
        assert found == {
            "/": ("directory", "directory"),
            "/file": ("file", "file"),
            "/lost": (None, "link"),
            "/link": ("file", "link"),
            "/socket": ("socket", "socket"),
            "/fifo": ("other", "other"),
            "/none": (None, None),
            "/file/below": (None, None),
        }

    def test_the_last_part_of_what_a_link_leads_to_is_its_name(self, tmp_path: Path, files: Files) -> None:
        (tmp_path / "driver").symlink_to("../../bus/pci/drivers/vfio-pci")
        write(tmp_path, "/file")
        assert (files.link_name("/driver"), files.link_name("/file")) == ("vfio-pci", None)


class TestReading:
    def test_the_head_and_the_tail_of_a_file(self, tmp_path: Path, files: Files) -> None:
        write(tmp_path, "/log", "0123456789")
        assert [files.read_tail("/log", 4), files.read_tail("/log", 99), files.read_tail("/none", 4)] == [
            "6789",
            "0123456789",
            "",
        ]
        assert [files.read_head("/log", 4), files.read_head("/none", 4)] == [b"0123", None]
        assert [files.file_size("/log"), files.file_size("/none")] == [10, 0]

    def test_what_is_missing_has_no_text_and_no_entries(self, files: Files) -> None:
        assert (files.read_text("/none"), files.list_directory("/none")) == (None, [])

    def test_a_text_that_is_not_utf_8_is_readable(self, tmp_path: Path, files: Files) -> None:
        (tmp_path / "text").write_bytes(b"a\xffb")
        assert files.read_text("/text") == "a\ufffdb"

    def test_what_exists_and_cannot_be_read_is_an_error(self, files: Files) -> None:
        assert code_of(files.read_text, "/") == "path_unreadable"
        assert code_of(files.path_kind, "/\0") == "path_unreadable"

    @pytest.mark.parametrize(
        ("recursive", "names"), [(False, ["large", "link"]), (True, ["large", "link", "below/large"])]
    )
    def test_files_of_a_directory_are_those_with_enough_bytes(
        self, tmp_path: Path, recursive: bool, names: list[str]
    ) -> None:
        for path, text in (("/large", "0123456789"), ("/small", "0"), ("/below/large", "0123456789")):
            write(tmp_path, path, text)
        for name, target in (("link", "large"), ("lost", "nowhere"), ("round", ".")):
            (tmp_path / name).symlink_to(target)
        found = Files().files_in(str(tmp_path), 10, recursive)
        assert [os.path.relpath(path, tmp_path) for path in found] == names

    @pytest.mark.parametrize(("user", "blocks"), [(0, 10), (1000, 7)])
    def test_free_space_is_what_this_user_may_still_write(
        self, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch, user: int, blocks: int
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bfree=10, f_bavail=7, f_frsize=4096))
        assert files.free_space("/") == (tmp_path.stat().st_dev, blocks * 4096)

    def test_a_missing_directory_has_no_free_space(self, files: Files) -> None:
        assert code_of(files.free_space, "/none") == "path_unreadable"


class TestDirectories:
    def test_one_is_created_with_its_parents_and_removed_again(self, tmp_path: Path, files: Files) -> None:
        created = files.make_directory("/run/a/b", 0o750, (os.getuid(), os.getgid()))
        assert created == ["/run", "/run/a", "/run/a/b"]
        assert [(tmp_path / path.lstrip("/")).stat().st_mode & 0o777 for path in created] == [0o755, 0o755, 0o750]
        files.remove_directories(created)
        assert os.listdir(tmp_path) == []

    def test_one_that_exists_is_left_as_it_is(self, tmp_path: Path, files: Files) -> None:
        (tmp_path / "here").mkdir(mode=0o711)
        assert files.make_directory("/here", 0o750) == []
        assert (tmp_path / "here").stat().st_mode & 0o777 == 0o711

    def test_one_that_is_not_empty_is_not_removed(self, tmp_path: Path, files: Files) -> None:
        created = files.make_directory("/run/a", 0o750)
        write(tmp_path, "/run/a/socket")
        files.remove_directories(created)
        assert (tmp_path / "run/a/socket").exists()

    def test_of_one_that_cannot_be_created_nothing_is_left(self, tmp_path: Path, files: Files) -> None:
        assert code_of(files.make_directory, "/run/a/" + "x" * 256, 0o750) == "path_unwritable"
        assert os.listdir(tmp_path) == []


class TestWriting:
    def test_a_private_file_is_for_its_owner_alone(self, tmp_path: Path, files: Files) -> None:
        files.write_private_file("/backups/a.xml", "text")
        assert (tmp_path / "backups/a.xml").read_text(encoding="utf-8") == "text"
        assert (tmp_path / "backups/a.xml").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o700
        assert os.listdir(tmp_path / "backups") == ["a.xml"]

    def test_an_owned_file_has_its_mode(self, tmp_path: Path, files: Files) -> None:
        files.write_owned_file("/seed", b"data", 0o440, (os.getuid(), os.getgid()))
        assert (tmp_path / "seed").read_bytes() == b"data"
        assert (tmp_path / "seed").stat().st_mode & 0o777 == 0o440

    def test_a_file_may_be_created_where_its_missing_directories_can_be(self, tmp_path: Path, files: Files) -> None:
        write(tmp_path, "/file")
        (tmp_path / "file").chmod(0o600)
        assert files.may_create("/a/b/c")
        assert not files.may_create("/file/b/c")

    def test_a_path_that_something_else_has_is_taken(self, tmp_path: Path, files: Files) -> None:
        (tmp_path / "directory").mkdir()
        write(tmp_path, "/file", "old")
        assert code_of(files.write_private_file, "/directory", "") == "path_taken"
        assert code_of(files.write_private_file, "/file", "new", False) == "path_taken"
        assert code_of(files.write_owned_file, "/directory", b"", 0o600, None) == "path_taken"
        assert code_of(files.remove_file, "/directory") == "path_taken"
        assert (tmp_path / "file").read_text() == "old"

    def test_a_link_that_others_can_have_put_there_is_unsafe(self, tmp_path: Path, files: Files) -> None:
        (tmp_path / "shared/real").mkdir(parents=True)
        (tmp_path / "shared/link").symlink_to("real")
        (tmp_path / "shared").chmod(0o777)
        assert code_of(files.write_private_file, "/shared/link/a", "") == "path_unsafe"
        assert code_of(files.is_shared_directory, "/shared/link", None) == "path_unsafe"
        assert code_of(files.restrict_directory, "/shared/link", None) == "path_unsafe"

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_file_system_has_a_code_of_its_own(
        self, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", full)
        assert code_of(files.write_private_file, "/a", "text") == "disk_full"
        assert os.listdir(tmp_path) == []
