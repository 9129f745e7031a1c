# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same part of two domains, and the same value in two spellings, are recognised."""

from __future__ import annotations

from typing import Callable, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.identity import (
    CONTROLLER,
    DISK_SOURCE,
    GUEST_USB_PORT,
    HOST_ADDRESS,
    HOST_PRODUCT,
    INTERFACE_MAC,
    NETWORK_HOST,
    SECURITY_DRIVER,
    Key,
    is_default_cpu_model,
    is_disabled,
    is_driver_of_operator,
    is_dynamic_label,
    is_log_of_operator,
    is_not_dimm,
    is_not_usb,
    is_rom_of_operator,
    number,
    same_cpus,
    same_hexadecimal,
    same_loader,
    same_machine,
    same_number,
)
from lxml import etree


@pytest.mark.parametrize(
    ("key", "xml", "value"),
    [
        (DISK_SOURCE, '<disk><source file="/a"/></disk>', "/a"),
        (DISK_SOURCE, '<disk><source dev="/dev/a"/></disk>', "/dev/a"),
        (DISK_SOURCE, '<disk><source protocol="rbd" name="p/i"/></disk>', "rbd:p/i"),
        (DISK_SOURCE, '<disk device="cdrom"><source file="/a"/></disk>', None),
        (NETWORK_HOST, '<host name="h" port="1"/>', "h:1"),
        (NETWORK_HOST, '<host socket="/s"/>', "/s"),
        (CONTROLLER, '<controller type="scsi" index="1" model="virtio-scsi"/>', "scsi 1"),
        (CONTROLLER, '<controller type="usb" model="ich9-uhci1"/>', "usb 0 ich9-uhci1"),
        (INTERFACE_MAC, '<interface><mac address="FA:00:00:00:00:01"/></interface>', "fa:00:00:00:00:01"),
        (
            HOST_ADDRESS,
            '<hostdev type="pci"><source><address bus="0x0a" slot="31" function="0x1"/></source></hostdev>',
            "pci 0000:0a:1f.1",
        ),
        (HOST_ADDRESS, '<hostdev type="usb"><source><address bus="1" device="2"/></source></hostdev>', "usb 001:002"),
        (HOST_ADDRESS, '<hostdev type="mdev"><source><address uuid="AB"/></source></hostdev>', "mdev ab"),
        (HOST_PRODUCT, '<hostdev><source><vendor id="0x46d"/><product id="1"/></source></hostdev>', "046d:0001"),
        (HOST_PRODUCT, '<hostdev><source><vendor id="0x46d"/></source></hostdev>', None),
        (GUEST_USB_PORT, '<input><address type="usb" bus="0" port="1.2"/></input>', "0:1.2"),
        (GUEST_USB_PORT, '<input><address type="pci" bus="0"/></input>', None),
        (SECURITY_DRIVER, '<seclabel model="dac"/>', "dac"),
        (SECURITY_DRIVER, "<seclabel/>", "confinement"),
    ],
)
def test_a_part_is_identified_by(key: Key, xml: str, value: Optional[str]) -> None:
    assert key.of(etree.fromstring(xml)) == value


@pytest.mark.parametrize(
    ("text", "value"), [("10", 10), ("0x10", 16), ("010", 10), ("ten", 0), (None, 0), ("1" * 71, 0)], ids=repr
)
def test_a_number_is_read_as_libvirt_reads_it(text: Optional[str], value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    ("same", "desired", "existing", "is_same"),
    [
        (same_number, "0x0a", "10", True),
        (same_number, "0x0a", "0a", False),
        (same_number, "x", "y", False),
        (same_hexadecimal, "0x50", "50", True),
        (same_hexadecimal, "50", "51", False),
        (same_hexadecimal, "x", "x", False),
        (same_cpus, "0-2", "0,1,2", True),
        (same_cpus, "0-2,^1", "0,2", True),
        (same_cpus, "0-2", "0,1", False),
        (same_cpus, "all", "all", False),
        (same_machine, "pc", "pc-i440fx-7.2", True),
        (same_machine, "pc", "pc-q35-7.2", False),
        (same_machine, "pc-i440fx-7.1", "pc-i440fx-7.2", False),
        (same_loader, "/usr/OVMF_CODE_4M.no-secboot.fd", "/usr/OVMF_CODE_4M.fd", True),
        (same_loader, "/usr/OVMF_CODE_4M.secboot.fd", "/usr/OVMF_CODE_4M.fd", False),
    ],
)
def test_two_spellings_are_the_same(
    same: Callable[[str, str], bool], desired: str, existing: str, is_same: bool
) -> None:
    assert same(desired, existing) is is_same


DRIVER = '<driver name="vhost" txmode="iothread" ioeventfd="on" event_idx="%s"/>'


@pytest.mark.parametrize(
    ("is_of_operator", "xml", "expected"),
    [
        (is_rom_of_operator, '<rom file="/var/lib/zstack/pcirom/a"/>', False),
        (is_rom_of_operator, '<rom file="/home/a"/>', True),
        (is_driver_of_operator, DRIVER % "off", False),
        (is_driver_of_operator, DRIVER % "on", True),
    ],
)
def test_a_setting_that_the_options_never_write_is_of_an_operator(
    is_of_operator: Callable[[etree._Element], bool], xml: str, expected: bool
) -> None:
    assert is_of_operator(etree.fromstring(xml)) is expected


@pytest.mark.parametrize(
    ("is_of_libvirt", "xml", "expected"),
    [
        (is_disabled, '<feature enabled="no"/>', True),
        (is_disabled, '<feature enabled="yes"/>', False),
        (is_dynamic_label, '<seclabel type="dynamic"/>', True),
        (is_dynamic_label, '<seclabel type="dynamic"><label/></seclabel>', False),
        (is_dynamic_label, '<seclabel type="static"/>', False),
        (is_not_usb, '<controller type="scsi"/>', True),
        (is_not_usb, '<controller type="usb"/>', False),
        (is_not_dimm, '<memory model="nvdimm"/>', True),
        (is_not_dimm, '<memory model="dimm"/>', False),
    ],
)
def test_an_element_may_be_of_libvirt(
    is_of_libvirt: Callable[[etree._Element], bool], xml: str, expected: bool
) -> None:
    assert is_of_libvirt(etree.fromstring(xml)) is expected


@pytest.mark.parametrize(("name", "expected"), [("vm", False), ("other", True)])
def test_a_log_with_another_name_than_the_domain_is_of_an_operator(name: str, expected: bool) -> None:
    log = f'<log file="/var/log/libvirt/qemu/{name}-console.log"/>'
    domain = etree.fromstring(f"<domain><name>vm</name><devices><serial>{log}</serial></devices></domain>")
    assert is_log_of_operator(domain.find("devices/serial/log")) is expected


@pytest.mark.parametrize(
    ("arch", "model", "is_default"),
    [("x86_64", "qemu64", True), ("x86_64", "EPYC", False), ("aarch64", "cortex-a57", True)],
)
def test_a_cpu_model_that_nobody_chose_depends_on_the_architecture(arch: str, model: str, is_default: bool) -> None:
    domain = etree.fromstring(f'<domain><os><type arch="{arch}"/></os><cpu><model>{model}</model></cpu></domain>')
    assert is_default_cpu_model(domain.find("cpu/model")) is is_default
