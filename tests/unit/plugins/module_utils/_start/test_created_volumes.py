# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that say how they are created: what is missing is created, what is too small grown, all else a warning."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.overlays import Overlays
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_store import Written
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import DomainList
from ansible_collections.zstack.kvm.plugins.module_utils._start.created_volumes import Domains, volume_work
from ansible_collections.zstack.kvm.plugins.module_utils._start.other_domains import OtherDomains
from ansible_collections.zstack.kvm.plugins.module_utils._start.volume_work import VolumeWork
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.plugins.module_utils._storage.found_volume import FoundVolume
from ansible_collections.zstack.kvm.tests.unit.fakes import (
    UUID,
    FakeDomain,
    FakeHypervisor,
    FakeSystem,
    FakeVolumes,
    parsed_vm,
)
from lxml import etree

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
ROOT, OPTION = "/root.qcow2", "vms[0].root_volume.install_path"
GIB = 1 << 30
DISK = "<disk type='file'><driver type='qcow2'/><source file='%s'/><target dev='%s'/></disk>"
DESIRED = etree.fromstring("<domain><devices>%s</devices></domain>" % (DISK % (ROOT, "vda")))
NO_OVERLAYS = Overlays()
CLONE = {"image": "/image", "image_format": "qcow2", "linked": True}


def domain(image: str, target: str = "vda") -> etree._Element:
    return etree.fromstring("<domain><devices>%s</devices></domain>" % (DISK % (image, target)))


def work_on(
    store: Optional[FakeVolumes],
    existing: Optional[etree._Element] = None,
    live: Optional[etree._Element] = None,
    overlays: Overlays = NO_OVERLAYS,
    other: str = "",
    memory_snapshot: Optional[str] = None,
    **create: Any,
) -> VolumeWork:
    """Return the work on a root volume of 1 GiB. C(other): the disk of another VM, which runs."""
    root = {"install_path": ROOT, "format": "qcow2", "create": {"size": "1GiB", **create}}
    vm = parsed_vm(root_volume=root, memory_snapshot=memory_snapshot)
    libvirt = FakeHypervisor({OTHER: FakeDomain(running=other)})
    domains = DomainList({OTHER: "other"}, frozenset([OTHER]), frozenset())
    run: Any = SimpleNamespace(volume_stores=store, system=FakeSystem(), others=OtherDomains(libvirt, domains, [UUID]))
    return volume_work(run, vm, StorageFacts(), Domains(DESIRED, existing, live, overlays))


class TestAMissingVolume:
    def test_is_created(self) -> None:
        store = FakeVolumes()
        work = work_on(store)
        (creation,) = work.creations
        assert (creation.volume.install_path, creation.create.size, creation.text) == (ROOT, GIB, ROOT)
        assert (work.problems, work.explained) == ([], {OPTION})

    def test_that_cannot_be_created_is_a_problem(self) -> None:
        store = FakeVolumes()
        store.unfit = [Problem(OPTION, "the file system is full", "disk_full")]
        assert work_on(store).problems == store.unfit

    @pytest.mark.parametrize("held_by", ["existing", "live"])
    def test_that_the_vm_has_used_is_not_replaced_by_an_empty_one(self, held_by: str) -> None:
        work = work_on(FakeVolumes(), **{held_by: domain(ROOT)})
        assert work.creations == []
        (problem,) = work.problems
        assert (problem.option_path, problem.code) == (OPTION, "image_missing")
        assert "the VM's definition already has it" in problem.message

    def test_that_a_restored_guest_has_open_is_not_replaced_either(self) -> None:
        work = work_on(FakeVolumes(), memory_snapshot="/memory")
        assert (work.creations, [problem.code for problem in work.problems]) == ([], ["image_missing"])

    def test_is_not_created_from_elsewhere(self) -> None:
        (problem,) = work_on(None).problems
        assert problem.code == "needs_hypervisor"

    def test_that_may_be_there_is_no_problem_from_elsewhere(self) -> None:
        assert work_on(None, existing=domain(ROOT)) == VolumeWork()


class TestALinkedClone:
    def test_of_a_disk_that_a_guest_writes_to_is_a_problem(self) -> None:
        (problem,) = work_on(FakeVolumes(), other=DISK % ("/image", "vda"), **CLONE).problems
        assert (problem.option_path, problem.code) == ("vms[0].root_volume.create.image", "volume_in_use")
        assert OTHER in problem.message

    @pytest.mark.parametrize("create", [CLONE, {**CLONE, "linked": False}])
    def test_of_an_image_that_nobody_writes_to_is_none_and_a_full_copy_neither(self, create: dict[str, Any]) -> None:
        other = "" if create["linked"] else DISK % ("/image", "vda")
        work = work_on(FakeVolumes(), other=other, **create)
        assert (len(work.creations), work.problems) == (1, [])


class TestAnExistingVolume:
    def test_as_desired_needs_no_work(self) -> None:
        work = work_on(FakeVolumes({ROOT: FoundVolume("qcow2", GIB)}))
        assert work == VolumeWork(explained={OPTION})

    def test_that_is_too_small_is_grown_and_shown_as_its_disk(self) -> None:
        work = work_on(FakeVolumes({ROOT: FoundVolume("qcow2", 5)}))
        assert [(each.path, each.before, each.after) for each in work.differences] == [
            ("devices/disk[target=vda]/size", "5", str(GIB))
        ]
        (growth,) = work.growths
        assert (growth.written, growth.size, growth.target) == (Written(ROOT, "qcow2"), GIB, None)
        assert work.warnings == []

    def test_that_runs_is_grown_through_its_disk(self) -> None:
        work = work_on(FakeVolumes({ROOT: FoundVolume("qcow2", 5)}), live=domain(ROOT, "vdb"))
        assert [growth.target for growth in work.growths] == ["vdb"]
        assert work.differences[0].path == "devices/disk[target=vdb]/size"

    def test_with_an_overlay_is_as_large_as_that(self) -> None:
        found = {ROOT: FoundVolume("qcow2", GIB), "/overlay": FoundVolume("qcow2", 5, ROOT)}
        overlays = Overlays(defined={ROOT: domain("/overlay").find("devices/disk")})
        (growth,) = work_on(FakeVolumes(found), overlays=overlays).growths
        assert growth.written == Written("/overlay", "qcow2")

    def test_that_is_larger_is_left_with_a_warning(self) -> None:
        work = work_on(FakeVolumes({ROOT: FoundVolume("qcow2", 2 * GIB)}))
        assert work.growths == []
        (warning,) = work.warnings
        assert "a volume is never shrunk" in warning

    def test_that_is_not_a_clone_is_left_with_a_warning(self) -> None:
        work = work_on(FakeVolumes({ROOT: FoundVolume("qcow2", GIB)}), **CLONE)
        assert (work.creations, work.growths, len(work.differences)) == ([], [], 1)
        (warning,) = work.warnings
        assert "is not a linked clone of /image" in warning

    def test_that_is_nothing_that_can_be_grown_needs_no_work(self) -> None:
        class Device(FakeVolumes):
            def find(self, volume: Any, written: Written) -> None:
                return None

        assert work_on(Device({ROOT: FoundVolume("raw", 5)})) == VolumeWork(explained={OPTION})
