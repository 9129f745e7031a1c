# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that can be plugged into and unplugged from a running VM, and their XML."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.hotplug import (
    attachable,
    can_be_plugged,
    can_be_unplugged,
    dimm,
    has_free_slot,
    is_root,
)
from lxml import etree


def disk(bus: str = "virtio", dev: str = "vdb", device: str = "disk", more: str = "") -> etree._Element:
    return etree.fromstring(f'<disk device="{device}"><target dev="{dev}" bus="{bus}"/>{more}</disk>')


def live(devices: str = "", machine: str = "pc-i440fx-7.2", boot: str = "") -> etree._Element:
    return etree.fromstring(
        f'<domain><os><type machine="{machine}">hvm</type>{boot}</os><devices>{devices}</devices></domain>'
    )


SCSI = '<controller type="scsi" index="%d"/>'
ON_ONE = '<address type="drive" controller="1"/>'


@pytest.mark.parametrize(
    ("device", "devices", "is_possible"),
    [
        pytest.param(disk(), "", True, id="virtio"),
        pytest.param(disk("scsi"), SCSI % 0, True, id="SCSI"),
        pytest.param(disk("scsi"), "", False, id="SCSI without a controller"),
        pytest.param(disk("scsi", more=ON_ONE), SCSI % 0, False, id="SCSI without its controller"),
        pytest.param(disk("scsi", more=ON_ONE), SCSI % 1, True, id="SCSI on another controller"),
        pytest.param(disk("sata"), "", False, id="SATA"),
        pytest.param(disk("scsi", device="cdrom"), SCSI % 0, False, id="CD drive"),
        pytest.param(etree.fromstring("<interface/>"), "", True, id="NIC"),
    ],
)
def test_can_be_plugged_in(device: etree._Element, devices: str, is_possible: bool) -> None:
    assert can_be_plugged(device, live(devices)) is is_possible


@pytest.mark.parametrize(
    ("device", "is_possible"),
    [
        pytest.param(disk(), True, id="virtio"),
        pytest.param(disk("scsi", "sdb"), True, id="SCSI"),
        pytest.param(disk(dev="vda"), False, id="root volume"),
        pytest.param(disk("ide", "hdb"), False, id="IDE"),
        pytest.param(disk("scsi", "sdb", "cdrom"), False, id="CD drive"),
        pytest.param(etree.fromstring("<interface/>"), True, id="NIC"),
    ],
)
def test_can_be_unplugged(device: etree._Element, is_possible: bool) -> None:
    assert can_be_unplugged(device) is is_possible


@pytest.mark.parametrize(("dev", "is_first"), [("vda", True), ("sda", True), ("vdb", False), ("vdaa", False)])
def test_the_root_volume_has_the_first_letter(dev: str, is_first: bool) -> None:
    assert is_root(disk(dev=dev)) is is_first


def slots(bus: int, numbers: range) -> str:
    address = '<rng><address type="pci" bus="0x%02x" slot="0x%02x"/></rng>'
    return "".join(address % (bus, slot) for slot in numbers)


PORT = '<controller type="pci" model="pcie-root-port" index="%d"/>'


@pytest.mark.parametrize(
    ("machine", "devices", "is_free"),
    [
        pytest.param("pc", slots(0, range(1, 31)), True, id="one slot"),
        pytest.param("pc", slots(0, range(1, 32)), False, id="no slot"),
        pytest.param("pc", slots(0, range(1, 31)) + slots(1, range(31, 32)), True, id="slots of another bus"),
        pytest.param("q35", PORT % 3 + PORT % 4 + slots(3, range(1)), True, id="a root port"),
        pytest.param("q35", PORT % 3 + slots(3, range(1)), False, id="no root port"),
        pytest.param("q35", "", False, id="slots of the root bus, without a root port"),
    ],
)
def test_a_pci_device_needs_a_free_slot(machine: str, devices: str, is_free: bool) -> None:
    assert has_free_slot(live(devices, machine)) is is_free


class TestXml:
    def test_is_without_what_only_a_plugged_device_has(self) -> None:
        device = disk(more='<alias name="a"/><backingStore/><mirror/><serial>s</serial>')
        assert attachable(device, live()) == (
            '<disk device="disk"><target dev="vdb" bus="virtio"/><serial>s</serial></disk>'
        )

    @pytest.mark.parametrize(("boot", "is_kept"), [("", True), ('<boot dev="hd"/>', False)])
    def test_has_a_boot_order_unless_the_vm_boots_by_kind(self, boot: str, is_kept: bool) -> None:
        assert ("<boot" in attachable(disk(more='<boot order="2"/>'), live(boot=boot))) is is_kept

    def test_of_a_dimm(self) -> None:
        assert dimm(131072) == (
            '<memory model="dimm"><target><size unit="KiB">131072</size><node>0</node></target></memory>'
        )
