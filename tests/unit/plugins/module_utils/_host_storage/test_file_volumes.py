# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes in files: real ones, by a real qemu-img."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.new_file import partial_name
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage import file_volumes
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.file_volumes import FileVolumes
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_store import Written
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import FoundVolume
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host_storage.images import (
    MIB,
    image_info,
    make_image,
    volume_to_create,
)

NEVER = threading.Event()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileVolumes:
    """Return the files of this machine; progress files are in a directory of the test."""
    progress = tmp_path / "progress"
    progress.mkdir()
    monkeypatch.setattr(file_volumes, "lock_directory", lambda: str(progress))
    return FileVolumes(HostSystem(), None)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_image(tmp_path / "image")


class TestCreate:
    def test_an_empty_volume_has_its_size_and_is_for_its_owner_alone(self, store: FileVolumes, tmp_path: Path) -> None:
        path = tmp_path / "volume"
        assert store.create(*volume_to_create(path, size="16MiB"), NEVER) is not None
        found = image_info(path)
        assert (found["format"], found["virtual-size"], "backing-filename" in found) == ("qcow2", 16 * MIB, False)
        assert path.stat().st_mode & 0o777 == 0o600

    def test_a_copy_of_an_image_has_the_least_size_and_no_backing_file(
        self, store: FileVolumes, tmp_path: Path, image: Path
    ) -> None:
        for name, size, expected in (("same", None, 8 * MIB), ("larger", "9MiB", 9 * MIB)):
            options: dict[str, Any] = {"image": image, **({"size": size} if size else {})}
            store.create(*volume_to_create(tmp_path / name, **options), NEVER)
            found = image_info(tmp_path / name)
            assert (found["virtual-size"], "backing-filename" in found) == (expected, False)
        assert os.listdir(tmp_path / "progress") == []

    def test_a_linked_clone_has_the_image_as_its_backing_file(
        self, store: FileVolumes, tmp_path: Path, image: Path
    ) -> None:
        store.create(*volume_to_create(tmp_path / "clone", image=image, linked=True), NEVER)
        found = image_info(tmp_path / "clone")
        assert (found["backing-filename"], found["backing-filename-format"]) == (str(image), "qcow2")

    def test_a_path_that_something_has_is_left_alone(self, store: FileVolumes, tmp_path: Path) -> None:
        path = tmp_path / "volume"
        path.write_bytes(b"of somebody else")
        assert store.create(*volume_to_create(path, size="1MiB"), NEVER) is None
        assert path.read_bytes() == b"of somebody else"

    @pytest.mark.parametrize("written", [False, True])
    def test_the_undo_removes_only_what_nobody_has_written_to(
        self, store: FileVolumes, tmp_path: Path, written: bool
    ) -> None:
        path = tmp_path / "volume"
        undo = store.create(*volume_to_create(path, size="1MiB"), NEVER)
        assert undo is not None
        if written:
            path.write_bytes(b"by a guest")
        assert undo() is not written
        assert path.exists() is written


class TestFind:
    def test_a_qcow2_image_has_the_size_and_backing_file_of_its_header(
        self, store: FileVolumes, tmp_path: Path, image: Path
    ) -> None:
        volume, create = volume_to_create(tmp_path / "clone", image=image, linked=True, size="12MiB")
        store.create(volume, create, NEVER)
        assert store.find(volume, Written(volume.install_path, "")) == FoundVolume("qcow2", 12 * MIB, str(image))

    def test_a_raw_disk_is_a_raw_disk_whatever_its_guest_has_written(self, store: FileVolumes, image: Path) -> None:
        volume, _create = volume_to_create(image, size="1MiB")
        assert store.find(volume, Written(str(image), "raw")) == FoundVolume("raw", image.stat().st_size)

    def test_nothing_else_can_be_grown(self, store: FileVolumes, tmp_path: Path) -> None:
        volume, _create = volume_to_create(tmp_path / "none", size="1MiB")
        for path in (tmp_path, tmp_path / "none"):
            assert store.find(volume, Written(str(path), "")) is None

    def test_only_a_path_that_nothing_has_is_missing(self, store: FileVolumes, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("nowhere")
        paths = [tmp_path / "none", tmp_path / "link", tmp_path]
        missing = [store.is_missing(volume_to_create(path, size="1MiB")[0]) for path in paths]
        assert missing == [True, False, False]


class TestProblems:
    def test_none_where_everything_is_there(self, store: FileVolumes, tmp_path: Path, image: Path) -> None:
        assert store.problems(*volume_to_create(tmp_path / "volume", image=image, size="9MiB")) == []

    @pytest.mark.parametrize(("directory", "reason"), [("none", "does not exist"), ("image", "is not a directory")])
    def test_a_directory_that_is_missing(
        self, store: FileVolumes, tmp_path: Path, image: Path, directory: str, reason: str
    ) -> None:
        (problem,) = store.problems(*volume_to_create(tmp_path / directory / "volume", size="1MiB"))
        assert (problem.option_path, problem.code) == ("volumes[0].install_path", "path_unwritable")
        assert problem.message == "the directory %s %s" % (tmp_path / directory, reason)

    def test_an_image_that_is_missing_beside_the_directory(self, store: FileVolumes, tmp_path: Path) -> None:
        problems = store.problems(*volume_to_create(tmp_path / "none/volume", image=tmp_path / "no-image"))
        assert [(problem.option_path, problem.code) for problem in problems] == [
            ("volumes[0].install_path", "path_unwritable"),
            ("volumes[0].create.image", "image_missing"),
        ]

    def test_an_image_with_a_backing_file_of_the_system_has_a_hint_of_its_own(
        self, store: FileVolumes, tmp_path: Path
    ) -> None:
        image = make_image(tmp_path / "image", backing="/etc/passwd")
        (problem,) = store.problems(*volume_to_create(tmp_path / "volume", image=image))
        assert (problem.option_path, problem.code) == ("volumes[0].create.image", "backing_file_outside")
        assert problem.hint.startswith("Inspect the image with qemu-img info before you trust it.")

    def test_a_size_below_the_images(self, store: FileVolumes, tmp_path: Path, image: Path) -> None:
        (problem,) = store.problems(*volume_to_create(tmp_path / "volume", image=image, size="4MiB"))
        assert str(problem) == (
            "volumes[0].create.size: is 4194304 bytes, less than the 8388608 bytes of the disk in the image %s" % image
        )

    @pytest.mark.parametrize(
        ("create", "needed"),
        [
            ({"size": "100MiB"}, None),
            ({"size": "100MiB", "preallocation": "metadata"}, None),
            ({"size": "100MiB", "preallocation": "falloc"}, 102),
            ({"size": "100MiB", "preallocation": "full"}, 102),
        ],
    )
    def test_a_file_system_without_the_blocks_that_are_allocated(
        self, store: FileVolumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, create: Any, needed: int | None
    ) -> None:
        monkeypatch.setattr(store._system.files, "free_space", lambda directory: (1, 2 * MIB))
        problems = store.problems(*volume_to_create(tmp_path / "volume", **create))
        message = "the file system of %s has 2 MiB free, and creating the volume needs %s MiB" % (tmp_path, needed)
        expected = [] if needed is None else [("volumes[0].install_path", "disk_full", message)]
        assert [(problem.option_path, problem.code, problem.message) for problem in problems] == expected

    @pytest.mark.parametrize(("linked", "codes"), [(False, ["disk_full"]), (True, [])])
    def test_a_file_system_without_the_blocks_of_a_copy(
        self, store: FileVolumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool, codes: list[str]
    ) -> None:
        image = tmp_path / "image"
        image.write_bytes(b"data" * MIB)
        monkeypatch.setattr(store._system.files, "free_space", lambda directory: (1, 2 * MIB))
        problems = store.problems(*volume_to_create(tmp_path / "volume", image=image, linked=linked))
        assert [problem.code for problem in problems] == codes


class TestRemove:
    def test_a_volume_goes_with_what_a_killed_task_left_of_it(self, store: FileVolumes, image: Path) -> None:
        leftover = image.with_name(partial_name(image.name))
        leftover.write_bytes(b"half of it")
        store.remove(volume_to_create(image, size="1MiB")[0])
        assert (image.exists(), leftover.exists()) == (False, False)

    @pytest.mark.parametrize(
        ("name", "what"), [("directory", "directory"), ("link", "link"), ("none", "file that is gone")]
    )
    def test_nothing_but_a_file_is_removed(self, store: FileVolumes, tmp_path: Path, name: str, what: str) -> None:
        (tmp_path / "directory").mkdir()
        (tmp_path / "link").symlink_to("directory")
        with pytest.raises(VmError, match="%s is not removed: it is a %s$" % (tmp_path / name, what)) as caught:
            store.check_closed(volume_to_create(tmp_path / name, size="1MiB")[0])
        assert caught.value.code == "path_taken"

    @pytest.mark.parametrize("image_format", ["qcow2", "raw"])
    def test_a_file_that_nobody_has_open_can_be(self, store: FileVolumes, tmp_path: Path, image_format: str) -> None:
        store.check_closed(volume_to_create(make_image(tmp_path / "image", image_format), size="1MiB")[0])


def test_a_volume_grows_to_its_size(store: FileVolumes, image: Path) -> None:
    volume, _create = volume_to_create(image, size="16MiB")
    store.grow(volume, Written(str(image), "qcow2"), 16 * MIB, NEVER)
    assert image_info(image)["virtual-size"] == 16 * MIB


def test_links_to_an_image_are_the_same_image(store: FileVolumes, tmp_path: Path, image: Path) -> None:
    (tmp_path / "link").symlink_to("image")
    assert store.canonical(str(tmp_path / "link")) == str(image)


def test_each_volume_has_a_progress_file_of_its_own(store: FileVolumes, tmp_path: Path) -> None:
    names = [file_volumes.progress_file(volume_to_create(tmp_path / name, size="1MiB")[0]) for name in ("a", "a", "b")]
    assert names[0] == names[1] != names[2]
    assert {os.path.dirname(name) for name in names} == {str(tmp_path / "progress")}
