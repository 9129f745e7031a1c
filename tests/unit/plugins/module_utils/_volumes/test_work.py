# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work on volumes: all are examined before any is changed, and each has its own result."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._spec.volumes import parse_volumes
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import FoundVolume
from ansible_collections.zstack.kvm.plugins.module_utils._volumes import work
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.result import VolumeResult
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.users import ImageUsers
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.work import VolumeRequest, VolumeTask
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, FakeSystem, FakeVolumes

GIB = 1 << 30
DISK = "<disk type='file'><driver type='qcow2'/><source file='%s'/>%s<target dev='vdb'/></disk>"
BELOW = "<backingStore type='file'><format type='qcow2'/><source file='%s'/></backingStore>"
SMALL, AS_DESIRED, LARGE = (FoundVolume("qcow2", size) for size in (5, GIB, 2 * GIB))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeVolumes:
    """Return the volumes of the hypervisor, none at first."""
    volumes = FakeVolumes()
    monkeypatch.setattr(work, "VolumeStores", lambda system, hypervisor, owner: volumes)
    return volumes


def run(
    *paths: str,
    libvirt: Optional[FakeHypervisor] = None,
    system: Optional[FakeSystem] = None,
    absent: bool = False,
    check_mode: bool = False,
    cancelled: bool = False,
    size: Optional[str] = "1GiB",
    create: Optional[Mapping[str, Any]] = None,
) -> list[VolumeResult]:
    """Work on volumes with these paths, which C(create) describes; by default, only their size is given."""
    created = create or ({"size": size} if size else None)
    options: dict[str, Any] = {} if absent or created is None else {"create": created}
    volumes, problems = parse_volumes([{"install_path": path, "format": "qcow2", **options} for path in paths])
    assert not problems
    event = threading.Event()
    if cancelled:
        event.set()
    request = VolumeRequest(absent, check_mode, event)
    return VolumeTask(libvirt or FakeHypervisor(), system or FakeSystem(), None, request).run(volumes)


def used_by(disk: str) -> FakeHypervisor:
    """Return a libvirt with a running domain that has the disk."""
    return FakeHypervisor({UUID: FakeDomain(defined=disk, running=disk)})


def codes(results: Sequence[VolumeResult]) -> list[Optional[str]]:
    return [None if result.failure is None else result.failure.error.code for result in results]


class TestAMissingVolume:
    def test_is_created(self, store: FakeVolumes) -> None:
        (result,) = run("/a")
        assert (result.actions, result.exists, result.found) == (["create_volume"], True, AS_DESIRED)
        assert store.changes == [("create", "/a")]

    def test_is_predicted_by_check_mode(self, store: FakeVolumes) -> None:
        (result,) = run("/a", check_mode=True)
        assert (result.actions, result.exists, result.found) == (["create_volume"], True, AS_DESIRED)
        assert store.changes == []

    def test_that_somebody_has_created_meanwhile_is_not_changed(self, store: FakeVolumes) -> None:
        store.create = lambda volume, create, cancelled: None  # type: ignore[method-assign]
        (result,) = run("/a")
        assert (result.actions, result.exists) == ([], True)

    def test_that_a_domain_has_is_not_replaced_by_an_empty_one(self, store: FakeVolumes) -> None:
        results = run("/a", libvirt=used_by(DISK % ("/a", "")))
        assert (codes(results), store.changes) == (["image_missing"], [])

    def test_that_a_domain_has_is_not_predicted_by_check_mode(self, store: FakeVolumes) -> None:
        (result,) = run("/a", libvirt=used_by(DISK % ("/a", "")), check_mode=True)
        assert (result.actions, len(result.warnings)) == ([], 1)

    def test_that_is_a_linked_clone_of_an_image_that_a_guest_writes_to_is_a_problem(self, store: FakeVolumes) -> None:
        results = run("/a", libvirt=used_by(DISK % ("/image", "")), create={"image": "/image", "linked": True})
        assert (codes(results), store.changes) == (["volume_in_use"], [])

    def test_that_is_a_copy_of_an_image_that_a_guest_writes_to_is_created(self, store: FakeVolumes) -> None:
        results = run("/a", libvirt=used_by(DISK % ("/image", "")), create={"image": "/image", "linked": False})
        assert codes(results) == [None]

    def test_of_the_size_of_its_image_is_examined_once_it_exists(self, store: FakeVolumes) -> None:
        (result,) = run("/a", create={"image": "/image", "image_format": "qcow2"})
        assert (result.exists, result.found) == (True, store.volumes["/a"])

    def test_that_could_not_be_created_does_not_exist(self, store: FakeVolumes) -> None:
        store.errors["create"] = VmError("disk_full", "no space")
        (result,) = run("/a")
        assert result.failure is not None
        assert (result.failure.phase, result.actions, result.exists) == ("create_volume", [], False)

    def test_is_only_reported_where_nothing_says_how_to_create_it(self, store: FakeVolumes) -> None:
        (result,) = run("/a", size=None)
        assert (result.actions, result.exists, result.failure) == ([], False, None)


class TestAnExistingVolume:
    def test_as_desired_is_left(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = AS_DESIRED
        (result,) = run("/a")
        assert (result.actions, result.differences, store.changes) == ([], (), [])

    def test_that_is_too_small_is_grown(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = SMALL
        (result,) = run("/a")
        assert (result.actions, store.changes) == (["grow_volume"], [("grow", "/a", GIB)])
        assert (result.before, result.found) == (SMALL, AS_DESIRED)

    def test_that_a_running_vm_has_is_grown_by_its_qemu(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = SMALL
        libvirt = used_by(DISK % ("/a", ""))
        (result,) = run("/a", libvirt=libvirt)
        assert (result.actions, store.changes) == (["grow_volume"], [])
        assert libvirt.changes == [("resize_block", UUID, "vdb", GIB)]

    def test_below_an_overlay_is_left_with_a_warning(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = SMALL
        (result,) = run("/a", libvirt=used_by(DISK % ("/overlay", BELOW % "/a")))
        assert (result.actions, len(result.differences)) == ([], 1)
        assert "writes to an overlay of it" in result.warnings[0]

    def test_that_is_larger_is_left_with_a_warning(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = LARGE
        (result,) = run("/a")
        assert (result.actions, result.found) == ([], LARGE)
        assert "a volume is never shrunk" in result.warnings[0]

    def test_of_another_format_is_a_problem(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = FoundVolume("raw", 5)
        assert codes(run("/a")) == ["image_format"]
        (predicted,) = run("/a", check_mode=True)
        assert (predicted.actions, predicted.differences) == ([], ())

    def test_that_could_not_be_grown_is_as_before(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = SMALL
        store.errors["grow"] = VmError("disk_full", "no space")
        (result,) = run("/a")
        assert (codes([result]), result.found, result.exists) == (["disk_full"], SMALL, True)

    def test_that_another_task_copies_has_its_progress(self, store: FakeVolumes) -> None:
        class Copying(FakeSystem):
            def read_tail(self, path: str, size: int) -> str:
                return "    (10.00/100%)\r    (42.50/100%)\r"

        assert [result.progress for result in run("/a", system=Copying(), check_mode=True)] == [42.5]


class TestARemoval:
    def test_of_a_volume(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = AS_DESIRED
        (result,) = run("/a", absent=True)
        assert (result.actions, result.exists, result.before) == (["remove_volume"], False, AS_DESIRED)
        assert store.changes == [("remove", "/a")]

    def test_of_none_is_none(self, store: FakeVolumes) -> None:
        (result,) = run("/a", absent=True)
        assert (result.actions, result.failure) == ([], None)

    @pytest.mark.parametrize("disk", [DISK % ("/a", ""), DISK % ("/overlay", BELOW % "/a")])
    def test_of_one_that_a_domain_has_is_a_problem(self, store: FakeVolumes, disk: str) -> None:
        store.volumes["/a"] = AS_DESIRED
        store.volumes["/b"] = AS_DESIRED
        results = run("/a", "/b", absent=True, libvirt=used_by(disk))
        # The other one is not removed either.
        assert (codes(results), store.changes) == (["volume_in_use", None], [])
        assert [(result.exists, result.found, result.actions) for result in results] == [(True, AS_DESIRED, [])] * 2

    def test_of_one_that_is_a_backing_file_is_a_problem(
        self, store: FakeVolumes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.volumes["/a"] = AS_DESIRED
        monkeypatch.setattr(ImageUsers, "clone_of", lambda users, image: "/clone")
        (result,) = run("/a", absent=True)
        assert codes([result]) == ["volume_in_use"]
        assert result.failure is not None and "backing file of /clone" in result.failure.error.message

    def test_where_the_images_of_a_domain_are_unknown_is_a_problem(
        self, store: FakeVolumes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreadable(users: ImageUsers) -> None:
            raise VmError("path_unreadable", "cannot read /overlay")

        store.volumes["/a"] = AS_DESIRED
        monkeypatch.setattr(ImageUsers, "check_chains", unreadable)
        assert (codes(run("/a", absent=True)), store.changes) == (["path_unreadable"], [])

    def test_of_one_that_a_process_has_open_is_a_problem(self, store: FakeVolumes) -> None:
        store.volumes["/a"] = AS_DESIRED
        store.errors["check_closed"] = VmError("volume_in_use", "is open")
        assert codes(run("/a", absent=True)) == ["volume_in_use"]

    def test_looks_for_users_again_when_it_has_the_lock(self, store: FakeVolumes) -> None:
        libvirt = FakeHypervisor()

        class Slow(FakeSystem):
            """Another task uses the volume before this one has its lock."""

            def shared_lock(self, name: str, label: str) -> Any:
                libvirt.domains[UUID] = FakeDomain(defined=DISK % ("/a", ""))
                return super().shared_lock(name, label)

        store.volumes["/a"] = AS_DESIRED
        (result,) = run("/a", absent=True, libvirt=libvirt, system=Slow())
        assert (codes([result]), result.exists, store.changes) == (["volume_in_use"], True, [])


class TestSeveralVolumes:
    def test_are_not_changed_if_any_has_a_problem(self, store: FakeVolumes) -> None:
        results = run("/a", "/b", libvirt=used_by(DISK % ("/b", "")))
        assert (codes(results), store.changes) == ([None, "image_missing"], [])
        assert [result.actions for result in results] == [[], []]
        assert results[1].failure is not None and results[1].failure.phase == "preflight"

    def test_have_all_their_problems_in_their_errors(self, store: FakeVolumes) -> None:
        store.unfit = [Problem("volumes[0]", each, "disk_full") for each in ("first", "second")]
        (result,) = run("/a")
        assert result.failure is not None
        assert result.failure.error.message == "volumes[0]: first; volumes[0]: second"

    def test_have_their_problems_as_warnings_in_check_mode(self, store: FakeVolumes) -> None:
        store.unfit = [Problem("volumes[0]", "no space", "disk_full")]
        (result,) = run("/a", check_mode=True)
        assert (result.warnings, result.failure) == (["volumes[0]: no space"], None)

    def test_have_their_results_in_their_order(self, store: FakeVolumes) -> None:
        store.volumes["/b"] = SMALL
        assert [result.actions for result in run("/a", "/b")] == [["create_volume"], ["grow_volume"]]


def test_an_interrupted_task_changes_nothing(store: FakeVolumes) -> None:
    assert (codes(run("/a", cancelled=True)), store.changes) == (["interrupted"], [])


def test_a_bug_is_a_problem_of_the_volume_alone(store: FakeVolumes) -> None:
    store.find = lambda volume, written: {}["bug"]  # type: ignore[method-assign]
    store.volumes["/a"] = SMALL
    assert codes(run("/a", "/b")) == ["internal_error", None]
