# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Additions of libvirt stay as long as they fit the hardware."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.hardware import (
    accept_unnamed_variables,
    drop_chosen_firmware,
    drop_what_depends,
    forget_hardware,
    free_desired_addresses,
    is_other_board,
    keep_derived_firmware,
    keep_plugged_memory,
)
from lxml import etree


def domain(xml: str = "", devices: str = "") -> etree._Element:
    return etree.fromstring(f"<domain>{xml}<devices>{devices}</devices></domain>")


def tags(parent: etree._Element) -> list[str]:
    return [child.tag for child in parent]


BOARD = '<os><type arch="%s" machine="%s"/></os>'


@pytest.mark.parametrize(
    ("desired", "existing", "is_other"),
    [
        (("x86_64", "pc"), ("x86_64", "pc-i440fx-7.2"), False),
        (("x86_64", "q35"), ("x86_64", "pc-i440fx-7.2"), True),
        (("aarch64", "virt"), ("x86_64", "virt"), True),
    ],
)
def test_another_board_is_another_machine_or_architecture(
    desired: tuple[str, str], existing: tuple[str, str], is_other: bool
) -> None:
    assert is_other_board(domain(BOARD % desired), domain(BOARD % existing)) is is_other


@pytest.mark.parametrize("desired", ["<os><type/></os>", ""], ids=["type", "nothing"])
def test_a_board_that_is_not_named_is_no_other(desired: str) -> None:
    assert not is_other_board(domain(desired), domain(BOARD % ("x86_64", "q35")))


@pytest.mark.parametrize(
    ("device", "forgotten"),
    [
        ('<controller type="pci" index="1"/>', ""),
        ('<controller type="usb" index="0" model="qemu-xhci"/>', '<controller type="usb" index="0"/>'),
        ('<input type="mouse" bus="ps2"/>', ""),
        ('<input type="tablet" bus="usb"><address/></input>', '<input type="tablet" bus="usb"/>'),
        ('<watchdog model="itco"/>', ""),
        ('<watchdog model="i6300esb"/>', '<watchdog model="i6300esb"/>'),
        (
            '<serial><target type="isa-serial" port="0"><model name="m"/></target></serial>',
            '<serial><target port="0"/></serial>',
        ),
        (
            '<console><target type="serial" port="0"/></console>',
            '<console><target type="serial" port="0"/></console>',
        ),
    ],
)
def test_hardware_of_another_board_is_forgotten(device: str, forgotten: str) -> None:
    existing = domain(devices=device)
    forget_hardware(domain(devices='<controller type="usb" index="0"/>'), existing)
    assert etree.tostring(existing.find("devices")) == etree.tostring(domain(devices=forgotten).find("devices"))


class TestPluggedMemory:
    CELL = '<memory>%d</memory><cpu><numa><cell memory="%d"/></numa></cpu>'
    DEVICE = '<memory model="%s"><target><size>%d</size></target></memory>'

    @pytest.mark.parametrize(("dimm", "cell", "dimms"), [(2, "6", 1), (1, "8", 0)], ids=["the sum", "another sum"])
    def test_is_part_of_the_desired_memory_if_the_sum_is_right(self, dimm: int, cell: str, dimms: int) -> None:
        desired = domain(self.CELL % (8, 8))
        keep_plugged_memory(desired, domain(self.CELL % (8, 6), self.DEVICE % ("dimm", dimm)))
        found = (desired.find("cpu/numa/cell").get("memory"), len(desired.findall("devices/memory")))
        assert found == (cell, dimms)

    def test_of_another_kind_is_added_to_the_total(self) -> None:
        desired = domain(self.CELL % (8, 8))
        keep_plugged_memory(desired, domain(self.CELL % (8, 8), self.DEVICE % ("nvdimm", 3)))
        assert desired.findtext("memory") == "11"


@pytest.mark.parametrize(
    ("xml", "devices", "changed", "path", "stays"),
    [
        ("<vcpus/><os/>", "", "vcpu", "vcpus", False),
        ("<vcpus/><os/>", "", "cpu", "vcpus", True),
        ("<os><nvram/></os>", "", "os", "os/nvram", False),
        ('<os firmware="efi"><nvram/></os>', "", "os", "os/nvram", True),
        ("<os/>", '<audio type="spice"/>', "graphics", "devices/audio", False),
        ("<os/>", '<audio type="pulseaudio"/>', "graphics", "devices/audio", True),
        (
            "<os/><iothreads>1</iothreads>",
            '<disk><driver iothread="2"/></disk>',
            "iothreads",
            "devices/disk/driver[@iothread]",
            False,
        ),
        (
            '<os/><iothreadids><iothread id="2"/></iothreadids>',
            '<disk><driver iothread="2"/></disk>',
            "iothreadids",
            "devices/disk/driver[@iothread]",
            True,
        ),
    ],
)
def test_what_libvirt_derived_goes_with_its_reason(
    xml: str, devices: str, changed: str, path: str, stays: bool
) -> None:
    merged = domain(xml, devices)
    drop_what_depends(merged, frozenset({changed}))
    assert (merged.find(path) is not None) is stays


@pytest.mark.parametrize(
    ("desired", "firmware"),
    [("<os><loader/></os>", "efi"), ("<os/>", None), ('<os firmware="bios"><loader/></os>', "bios")],
    ids=["image", "nothing", "kind"],
)
def test_the_kind_that_libvirt_derives_from_a_named_image_counts_as_desired(
    desired: str, firmware: Optional[str]
) -> None:
    desired_domain = domain(desired)
    keep_derived_firmware(desired_domain, domain('<os firmware="efi"><loader/><firmware/></os>'))
    assert desired_domain.find("os").get("firmware") == firmware


@pytest.mark.parametrize(
    ("desired", "existing", "is_desired"),
    [
        ("<nvram/>", "", False),
        ("<nvram/>", '<loader type="rom"/>', True),
        ("<nvram/>", "<nvram>/vars</nvram>", True),
        ("<nvram>/vars</nvram>", "", True),
    ],
)
def test_variables_without_a_file_are_desired_only_of_firmware_that_keeps_none(
    desired: str, existing: str, is_desired: bool
) -> None:
    desired_domain = domain(f"<os>{desired}</os>")
    accept_unnamed_variables(desired_domain, domain(f"<os>{existing}</os>"))
    assert (desired_domain.find("os/nvram") is not None) is is_desired


def test_chosen_firmware_goes_and_its_variables_stay() -> None:
    merged = domain('<os><loader>/code</loader><nvram template="/t" format="raw">/vars</nvram></os>')
    drop_chosen_firmware(domain('<os><nvram format="raw"/></os>'), merged)
    assert etree.tostring(merged.find("os")) == b'<os><nvram format="raw">/vars</nvram></os>'


class TestAddresses:
    PCI = '<%s><address type="pci" bus="%s" slot="0x05"/></%s>'

    def test_that_another_device_is_to_have_are_freed(self) -> None:
        merged = domain(devices=self.PCI % ("disk", "0x00", "disk") + self.PCI % ("interface", "0", "interface"))
        desired = etree.fromstring(self.PCI % ("interface", "0", "interface"))
        disk, interface = merged.find("devices")
        free_desired_addresses({desired: interface}, merged)
        assert (tags(disk), tags(interface)) == ([], ["address"])

    def test_that_a_virtio_disk_is_to_have_are_freed(self) -> None:
        disk = '<disk><target dev="vda" bus="virtio"/><address type="pci" bus="0x00" slot="0x05"/></disk>'
        merged = domain(devices=self.PCI % ("controller", "0x00", "controller") + disk)
        controller, merged_disk = merged.find("devices")
        free_desired_addresses({etree.fromstring(disk): merged_disk}, merged)
        assert (tags(controller), tags(merged_disk)) == ([], ["target", "address"])

    def test_that_a_virtio_disk_has_are_freed(self) -> None:
        disk = '<disk><target dev="vda" bus="virtio"/><address type="pci" bus="0x00" slot="0x05"/></disk>'
        merged = domain(devices=disk + self.PCI % ("interface", "0x00", "interface"))
        merged_disk, interface = merged.find("devices")
        free_desired_addresses({etree.fromstring(self.PCI % ("interface", "0", "interface")): interface}, merged)
        assert (tags(merged_disk), tags(interface)) == (["target"], ["address"])

    @pytest.mark.parametrize(
        ("model", "slot", "found"),
        [
            ("pcie-root-port", "0x00", ["address"]),
            ("pcie-root-port", "0x01", []),
            ("pci-bridge", "0x01", ["address"]),
            ("pci-bridge", "0x00", []),
        ],
    )
    def test_that_a_pci_bus_of_this_kind_does_not_have_are_freed(self, model: str, slot: str, found: list[str]) -> None:
        controller = f'<controller type="pci" index="4" model="{model}"/>'
        merged = domain(devices=controller + f'<interface><address type="pci" bus="0x04" slot="{slot}"/></interface>')
        free_desired_addresses({}, merged)
        assert tags(merged.find("devices/interface")) == found

    @pytest.mark.parametrize(("bus", "found"), [("0", ["address"]), ("1", [])])
    def test_on_a_usb_bus_that_is_gone_are_freed(self, bus: str, found: list[str]) -> None:
        controller = '<controller type="usb" index="0"/>'
        merged = domain(devices=controller + f'<input><address type="usb" bus="{bus}" port="1"/></input>')
        free_desired_addresses({}, merged)
        assert tags(merged.find("devices/input")) == found

    def test_of_drives_on_different_buses_are_different(self) -> None:
        drive = '<disk><target bus="%s"/><address type="drive" unit="1"/></disk>'
        merged = domain(devices=drive % "ide" + drive % "scsi")
        free_desired_addresses({etree.fromstring(drive % "scsi"): merged.find("devices")[1]}, merged)
        assert len(merged.findall("devices/disk/address")) == 2
