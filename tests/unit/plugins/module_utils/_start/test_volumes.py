# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlays, missing images and block jobs of a VM's volumes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.power import Stop
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError, VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.overlays import Overlays
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Plan, Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.volumes import (
    check_block_jobs,
    keep_overlays,
    move_warnings,
    on_overlays,
    storage_problems,
)
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakeSystem, parsed_vm
from lxml import etree

ROOT = "/root.qcow2"
VM = parsed_vm(root_volume={"install_path": ROOT, "format": "qcow2"})
FACTS = StorageFacts()
MISSING = Problem("vms[0].root_volume.install_path", "does not exist", "image_missing")


def disk(*chain: str, target: str = "vda") -> str:
    below = "".join(
        "<backingStore type='file'><format type='qcow2'/><source file='%s'/></backingStore>" % image
        for image in chain[1:]
    )
    driver = "<driver name='qemu' type='qcow2'/>"
    return f"<disk type='file'>{driver}<source file='{chain[0]}'/>{below}<target dev='{target}'/></disk>"


def domain(*disks: str) -> etree._Element:
    return etree.fromstring("<domain><devices>%s</devices></domain>" % "".join(disks))


def run(system: Optional[FakeSystem] = None, problems: Any = (), **policy: Any) -> Any:
    return SimpleNamespace(
        hypervisor=FakeHypervisor(),
        system=system or FakeSystem(otherwise="file"),
        policy=Policy(**policy),
        storage_problems=lambda vm: list(problems),
    )


class TestOverlays:
    WITH_ONE = domain(disk("/overlay", ROOT))

    def test_are_kept_by_default(self) -> None:
        kept = keep_overlays(run(), VM, FACTS, domain(disk(ROOT)), self.WITH_ONE, None)
        assert kept.entries() == [{"target": "vda", "image": "/overlay", "overlay_of": ROOT}]

    def test_are_discarded_by_request(self) -> None:
        kept = keep_overlays(run(overlays="discard"), VM, FACTS, domain(disk(ROOT)), self.WITH_ONE, None)
        assert kept == Overlays()

    def test_that_the_vm_runs_on_cannot_be_discarded(self) -> None:
        with pytest.raises(VmProblems) as caught:
            keep_overlays(run(overlays="discard"), VM, FACTS, domain(disk(ROOT)), self.WITH_ONE, self.WITH_ONE)
        assert [(problem.option_path, problem.code) for problem in caught.value.problems] == [
            ("vms[0].root_volume.install_path", "overlay_in_use")
        ]

    @pytest.mark.parametrize("patched", [False, True])
    def test_are_in_the_domain_before_and_after_its_patches(self, patched: bool) -> None:
        desired = DesiredDomain(domain(disk(ROOT)), domain(disk(ROOT)) if patched else None, (), ())
        built = on_overlays(desired, {ROOT: self.WITH_ONE.find("devices/disk")})
        assert built.element.find("devices/disk/source").get("file") == "/overlay"
        if patched:
            assert built.unpatched is not None
            assert built.unpatched.find("devices/disk/source").get("file") == "/overlay"
        assert desired.element.find("devices/disk/source").get("file") == ROOT


class TestADiskThatGetsAnUnrelatedImage:
    def test_is_a_warning_with_both(self) -> None:
        (warning,) = move_warnings(run(), VM, domain(disk(ROOT)), domain(disk("/copy")))
        assert warning.startswith("the disk vda changes from /copy to %s" % ROOT)
        assert warning.endswith("set install_path to /copy")

    def test_is_none_where_both_are_the_same_file(self) -> None:
        class Linked(FakeSystem):
            def real_path(self, path: str) -> str:
                return "/same"

        assert move_warnings(run(Linked()), VM, domain(disk(ROOT)), domain(disk("/copy"))) == []

    @pytest.mark.parametrize(("existing", "overlays"), [(None, "keep"), (domain(disk("/copy")), "discard")])
    def test_is_no_surprise_for_a_new_vm_and_where_overlays_are_discarded(self, existing: Any, overlays: str) -> None:
        assert move_warnings(run(overlays=overlays), VM, domain(disk(ROOT)), existing) == []


class TestAMissingImage:
    OVERLAYS = Overlays(defined={ROOT: etree.fromstring(disk("/overlay", ROOT))})

    def test_is_explained_once_by_the_image_that_refers_to_it(self) -> None:
        lacking = FakeSystem({"/overlay": "file"})
        (problem,) = storage_problems(run(lacking, [MISSING]), VM, FACTS, self.OVERLAYS)
        assert problem.message == "the file %s, the backing file of /overlay, does not exist" % ROOT

    def test_does_not_hide_what_else_is_wrong(self) -> None:
        lacking, locked = FakeSystem({"/overlay": "file"}), Problem(MISSING.option_path, "is locked", "image_locked")
        found = storage_problems(run(lacking, [MISSING, locked]), VM, FACTS, self.OVERLAYS)
        assert [problem.code for problem in found] == ["image_missing", "image_locked"]

    def test_of_a_volume_without_overlays_is_found_with_all_others(self) -> None:
        assert storage_problems(run(FakeSystem(), [MISSING]), VM, FACTS, Overlays()) == [MISSING]


def plan(*differences: str, stops: bool = False) -> Plan:
    """Return a plan with differences at these paths."""
    changes: Any = (Stop(graceful=True),) if stops else tuple(SimpleNamespace(name="change") for _each in differences)
    return Plan((), changes, tuple(Difference(path, "1", "2") for path in differences), (), False)


class TestABlockJob:
    RUNS = ObservedVm(state="running", live_xml=etree.tostring(domain(disk("/a"), disk("/b", target="vdb"))).decode())

    def queried_disks(self, planned: Plan, *jobs: str, observed: ObservedVm = RUNS, **errors: VmError) -> list[str]:
        """Return the disks for which libvirt was queried."""
        libvirt = FakeHypervisor()
        libvirt.block_jobs.update(jobs)
        libvirt.errors.update(errors)
        check_block_jobs(libvirt, VM, observed, planned)
        return [call[2] for call in libvirt.calls]

    def test_on_a_disk_that_is_to_be_changed_is_in_the_way(self) -> None:
        with pytest.raises(VmError) as caught:
            self.queried_disks(plan("devices/disk[target=vdb]/source"), "vdb")
        assert (caught.value.code, caught.value.message) == (
            "vm_busy",
            "the disk vdb is being copied, committed or pulled",
        )

    def test_on_any_disk_is_in_the_way_of_a_stop(self) -> None:
        assert self.queried_disks(plan(stops=True)) == ["vda", "vdb"]
        with pytest.raises(VmError):
            self.queried_disks(plan(stops=True), "vdb")

    @pytest.mark.parametrize(
        ("planned", "expected"),
        [(plan("devices/disk[target=vda]/source"), ["vda"]), (plan("vcpu"), []), (plan(), [])],
    )
    def test_on_another_disk_is_not_looked_for(self, planned: Plan, expected: list[str]) -> None:
        assert self.queried_disks(planned, "vdb") == expected

    def test_is_not_looked_for_on_a_vm_that_is_off(self) -> None:
        assert self.queried_disks(plan(stops=True), "vda", observed=ObservedVm(state="shutoff")) == []

    def test_of_a_qemu_that_hangs_does_nothing(self) -> None:
        assert self.queried_disks(plan(stops=True), has_block_job=VmError("qemu_hangs", "no")) == ["vda"]

    def test_is_unknown_while_libvirt_is_lost(self) -> None:
        with pytest.raises(VmError):
            self.queried_disks(plan(stops=True), has_block_job=VmError("connection_lost", "no"))
