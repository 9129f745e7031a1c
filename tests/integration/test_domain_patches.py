# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A patch that libvirt rewrites is in sync afterwards, patches can be removed, check mode predicts refusals."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._domain.metadata import REWRITTEN_NAMESPACE, REWRITTEN_PREFIX
from ansible_collections.zstack.kvm.plugins.module_utils._domain.patches import apply_patches
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile, rewritten
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Removal
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import DomainPatch
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, hypervisor, start
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.support.schema_fragments import SchemaFragments
from ansible_collections.zstack.kvm.tests.support.virsh import definition, virsh
from lxml import etree

UUID = "5d1f0a8e-0c55-4b5e-9a10-6f4d1c7b2e14"
DRAWN = 300
# libvirt accepts at least this many of the generated ones.
ACCEPTED = 60
SECTIONS = (
    *(
        "sysinfo",
        "cputune",
        "memtune",
        "blkiotune",
        "memoryBacking",
        "numatune",
        "cpu",
        "clock",
        "pm",
        "perf",
        "iothreads",
    ),
    *("on_crash", "on_reboot", "genid", "resource", "iothreadids", "defaultiothread", "vcpus", "title", "seclabel"),
)


def add(xpath: str, value: str) -> dict[str, str]:
    return {"action": "add", "xpath": xpath, "value": value}


def replaced(xpath: str, value: str) -> dict[str, str]:
    return {"action": "replace", "xpath": xpath, "value": value}


SYSINFO = """<sysinfo type="smbios"><system><entry name="product">p</entry><entry name="manufacturer">m</entry></system>
<bios><entry name="version">1</entry><entry name="vendor">v</entry></bios></sysinfo>"""
CPU = '<cpu check="none"><model>qemu64</model></cpu>'


def assert_settled(vm: dict[str, Any]) -> None:
    """Assert that nothing is left to do with any on_drift, now and after a boot."""
    for _boot in range(2):
        for on_drift in ("live", "restart"):
            run = agreed(vm, on_drift=on_drift)
            assert (run.result["changed"], run.vm["differences"], run.vm["restart_required"]) == (False, [], False)
        virsh("destroy", vm["uuid"])
        start(vm)


def test_what_libvirt_writes_in_another_way_is_no_drift(new_vm: NewVm, images: Path) -> None:
    missing_cd = f'<source file="{images}/missing.iso" startupPolicy="optional"/>'
    vm = new_vm(
        domain_patches=[
            add(".", SYSINFO),
            add("os", '<smbios mode="sysinfo"/>'),
            replaced("cpu", CPU),
            add("devices/disk[@device='cdrom'][1]", missing_cd),
            replaced(
                "devices/serial", f'<serial type="file"><source path="{images}/serial.log"/><target port="0"/></serial>'
            ),
            add("devices", '<interface type="user"><model type="virtio"/></interface>'),
        ]
    )
    assert agreed(vm).actions == ["define", "start"]
    mac = definition(vm["uuid"]).find("devices/interface/mac").get("address")
    assert_settled(vm)

    assert agreed({**vm, "cpu_num": 2}).actions == ["define"]
    assert definition(vm["uuid"]).find("devices/interface/mac").get("address") == mac
    virsh("destroy", vm["uuid"])
    start({**vm, "cpu_num": 2})
    assert_settled({**vm, "cpu_num": 2})


def test_nor_is_a_serial_port_at_a_socket(new_vm: NewVm) -> None:
    vm = new_vm()
    # QEMU may create sockets in libvirt's own directory for them.
    path = f"/var/lib/libvirt/qemu/{vm['uuid'][:8]}.sock"
    port = f'<serial type="unix"><source mode="bind" path="{path}"/><target port="0"/></serial>'
    vm["domain_patches"] = [replaced("devices/serial", port)]
    start(vm)
    assert_settled(vm)


def test_what_an_operator_changes_of_it_is_drift(new_vm: NewVm) -> None:
    vm = new_vm(domain_patches=[add(".", SYSINFO), add("os", '<smbios mode="sysinfo"/>')])
    start(vm)
    changed = definition(vm["uuid"])
    changed.find("sysinfo/system/entry[@name='product']").text = "other"
    hypervisor().define(etree.tostring(changed, encoding="unicode"))

    run = agreed(vm)
    assert run.actions == ["define"]
    assert definition(vm["uuid"]).findtext("sysinfo/system/entry[@name='product']") == "p"
    assert not start(vm).vm["differences"]


def drawn_patch(fragments: SchemaFragments, number: int) -> DomainPatch:
    if number % 3:
        return DomainPatch("p", "add", "devices", etree.tostring(fragments.device(), encoding="unicode"))
    section = fragments.section(SECTIONS)
    return DomainPatch("p", "add", ".", etree.tostring(section, encoding="unicode"))


def settled(desired: etree._Element, unpatched: etree._Element, before: etree._Element) -> tuple[Difference, ...]:
    """Return the differences after a definition has become the desired one; raise libvirt's error."""
    connection, uuid = hypervisor(), desired.findtext("uuid")
    connection.define(etree.tostring(reconcile(desired, before, unpatched).merged, encoding="unicode"))
    try:
        record = rewritten(desired, unpatched, etree.fromstring(connection.xml(uuid, inactive=True)))
        connection.set_defined_metadata(uuid, REWRITTEN_NAMESPACE, REWRITTEN_PREFIX, record)
        return reconcile(desired, etree.fromstring(connection.xml(uuid, inactive=True)), unpatched).differences
    finally:
        connection.undefine(uuid, Removal(nvram=True, tpm=True))


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_whatever_the_schema_has_settles(machine: str) -> None:
    (vm,), _problems = parse_vms(
        [
            {
                "uuid": UUID,
                "name": "patched",
                "memory": "1GiB",
                "cpu_num": 2,
                "domain_type": "qemu",
                "machine": machine,
                "root_volume": {"install_path": "/root.raw", "format": "raw"},
                "nics": [{"bridge_name": "br0"}],
            }
        ]
    )
    unpatched = build(vm, recorded_host("debian-12"), StorageFacts()).element
    hypervisor().define(etree.tostring(unpatched, encoding="unicode"))
    before = etree.fromstring(hypervisor().xml(UUID, inactive=True))
    hypervisor().undefine(UUID, Removal(nvram=True))
    fragments = SchemaFragments(14)
    accepted: Counter[str] = Counter()
    unsettled = {}
    for number in range(DRAWN):
        patch, desired, problems = drawn_patch(fragments, number), copy.deepcopy(unpatched), list[Problem]()
        apply_patches(desired, (patch,), problems)
        try:
            found = settled(desired, unpatched, before)
        except VmError as error:
            assert error.libvirt_code is not None, (patch, error)
            continue
        accepted[etree.fromstring(patch.value).tag] += 1
        if found:
            unsettled[patch.value] = found

    assert unsettled == {}
    assert sum(accepted.values()) > ACCEPTED, accepted


ENROLLED = [
    replaced(
        "os/firmware",
        '<firmware><feature enabled="yes" name="secure-boot"/><feature enabled="yes" name="enrolled-keys"/></firmware>',
    ),
    add("features", '<smm state="on"/>'),
]
SECURE_LOADER = [
    replaced("os/firmware", '<loader secure="yes"/>'),
    add("features", '<smm state="on"/>'),
]


@pytest.mark.parametrize("patches", [ENROLLED, SECURE_LOADER], ids=["feature", "loader"])
def test_secure_boot_comes_with_patches_and_goes_without_them(new_vm: NewVm, patches: list[dict[str, str]]) -> None:
    plain = new_vm(machine="q35", firmware="uefi")
    secure = {**plain, "domain_patches": patches}
    assert agreed(secure).actions == ["define", "start"]
    assert not agreed(secure).result["changed"]
    virsh("destroy", plain["uuid"])

    assert agreed(plain).actions == ["define", "start"]
    assert "secboot" not in etree.tostring(definition(plain["uuid"], inactive=False).find("os")).decode()
    again = agreed(plain)
    assert not again.result["changed"], (again.vm["differences"], again.actions)


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        (add("devices", '<panic model="isa"/><panic model="isa"/>'), "invalid_domain"),
        (add("devices", "<unknown/>"), "invalid_domain"),
        (add("features", '<hyperv><spinlocks state="on" retries="1"/></hyperv>'), "invalid_domain"),
        (add("devices", '<controller type="ide" index="7"/>'), "unsupported_device"),
    ],
)
def test_check_mode_predicts_no_definition_that_libvirt_refuses(
    new_vm: NewVm, patch: dict[str, str], code: str
) -> None:
    vm = new_vm(domain_patches=[patch])
    predicted, real = (start(vm, check=check).error for check in (True, False))
    for error in (predicted, real):
        assert (error["code"], error["phase"]) == (code, "define"), error


def test_it_predicts_one_for_which_the_hypervisor_is_not_ready(new_vm: NewVm) -> None:
    vm = new_vm(nics=[{"bridge_name": "br_none"}])
    predicted = start(vm, check=True)
    assert predicted.actions == ["define", "start"]
    assert any("br_none" in warning for warning in predicted.vm["warnings"])
