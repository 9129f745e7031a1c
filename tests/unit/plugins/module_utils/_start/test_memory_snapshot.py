# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring a VM from a memory snapshot."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._start.memory_snapshot import PlannedRestore, plan_restore
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakeSystem, parsed_vm
from lxml import etree

PATH = "/snapshots/memory"
HOST = recorded_host("debian-12")


class Libvirt(FakeHypervisor):
    """A libvirt with one file of saved memory."""

    def __init__(self, xml: Optional[str]) -> None:
        super().__init__()
        self._xml = xml

    def saved_image_xml(self, path: str) -> str:
        assert path == PATH
        if self._xml is None:
            raise VmError("libvirt_error", "image magic is incorrect")
        return self._xml


class System(FakeSystem):
    """A hypervisor with this kind of file at the path."""

    def __init__(self, kind: Optional[str]) -> None:
        super().__init__()
        self._kind = kind

    def path_kind(self, path: str) -> Optional[str]:
        return self._kind


def planned(
    xml: Optional[str] = None, kind: Optional[str] = "file", starts: bool = True, **options: Any
) -> PlannedRestore:
    vm = parsed_vm(memory_snapshot=PATH, **options)
    return plan_restore(vm, build(vm, HOST, StorageFacts()), Libvirt(xml), System(kind), HOST, starts)


@pytest.mark.parametrize(("omitted_settings", "leaves_drift"), [("keep", False), ("remove", True)])
def test_what_omitted_options_remove_is_in_the_restored_vm(omitted_settings: str, leaves_drift: bool) -> None:
    saved = etree.tostring(saved_xml(panic_devices=["isa"]), encoding="unicode")
    found = planned(saved, omitted_settings=omitted_settings)
    assert found.action is not None
    assert etree.fromstring(found.action.xml).find("devices/panic") is not None
    assert found.leaves_drift is leaves_drift


def saved_xml(**options: Any) -> etree._Element:
    """Return the definition of the VM as libvirt saves it."""
    domain = build(parsed_vm(**options), recorded_host("debian-12"), StorageFacts()).element
    etree.SubElement(domain.find("devices/disk"), "address", type="pci", bus="0", slot="0x09")
    return domain


def test_what_the_options_leave_open_is_as_it_was_saved() -> None:
    restore = planned(etree.tostring(saved_xml(), encoding="unicode"), console_password="new")
    assert restore.action is not None
    restored = etree.fromstring(restore.action.xml)
    assert restored.find("devices/disk/address").get("slot") == "0x09"
    assert restored.find("devices/graphics").get("passwd") == "new"


@pytest.mark.parametrize(("omitted_settings", "keeps"), [("keep", True), ("remove", False)])
def test_a_vm_without_a_definition_is_defined_with_the_addresses_that_its_guest_knows(
    omitted_settings: str, keeps: bool
) -> None:
    saved = etree.tostring(saved_xml(panic_devices=["isa"]), encoding="unicode")
    definition = etree.fromstring(planned(saved, omitted_settings=omitted_settings).definition)
    assert definition.find("devices/disk/address").get("slot") == "0x09"
    assert (definition.find("devices/panic") is not None) is keeps


def test_a_device_that_a_patch_removes_goes_with_the_next_boot() -> None:
    saved = etree.tostring(saved_xml(), encoding="unicode")
    patch = {"action": "remove", "xpath": "/domain/devices/input"}
    found = planned(saved, domain_patches=[patch])
    assert found.action is not None
    assert etree.fromstring(found.action.xml).find("devices/input") is not None
    assert etree.fromstring(found.definition).find("devices/input") is None
    assert found.leaves_drift


def test_the_cpu_of_the_host_is_the_one_that_was_saved() -> None:
    saved = saved_xml(nested_virtualization="host-model")
    saved.replace(saved.find("cpu"), etree.fromstring('<cpu mode="custom"><model>Skylake-Client</model></cpu>'))
    restore = planned(etree.tostring(saved, encoding="unicode"), nested_virtualization="host-model")
    assert restore.action is not None
    assert etree.fromstring(restore.action.xml).findtext("cpu/model") == "Skylake-Client"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (None, "the file /snapshots/memory does not exist"),
        ("directory", "/snapshots/memory is not a file"),
        ("block", "/snapshots/memory is a block device: mount it and name the file in it"),
        ("file", "/snapshots/memory cannot be restored: image magic is incorrect"),
    ],
)
def test_what_is_no_snapshot_is_a_problem(kind: Optional[str], message: str) -> None:
    (problem,) = planned(None, kind).problems
    assert (problem.option_path, problem.message) == ("vms[0].memory_snapshot", message)
    assert problem.code == "memory_snapshot_failed"


def test_memory_of_a_machine_type_that_the_host_no_longer_has_is_a_problem() -> None:
    saved = saved_xml(domain_type="qemu")
    saved.find("os/type").set("machine", "pc-i440fx-1.0")

    plan = planned(etree.tostring(saved, encoding="unicode"), domain_type="qemu")

    assert [str(problem) for problem in plan.problems] == [
        "vms[0].memory_snapshot: /snapshots/memory was saved on the machine type pc-i440fx-1.0, "
        "which /usr/bin/qemu-system-x86_64 no longer has"
    ]
    assert plan.action is None


def test_a_vm_that_runs_is_not_restored() -> None:
    assert planned(None, None, starts=False) == PlannedRestore()
