# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A value is returned in the form of the model, or refused with a reason that does not repeat it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec import values

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("check", "value", "result"),
    [
        (values.xml_text, "a\r\nb\rc", "a\nb\nc"),
        (values.xml_text, "主 🐧\t", "主 🐧\t"),
        (values.line, "主 🐧", "主 🐧"),
        (values.number(1, 5), 1, 1),
        (values.number(1, 5), 5, 5),
        (values.memory, MIB, MIB),
        (values.memory, 1 << 50, 1 << 50),
        (values.disk_size, MIB, MIB),
        (values.disk_size, 1 << 60, 1 << 60),
        (values.uuid, UUID.upper().replace("-", ""), UUID),
        (values.mac, "FA:00:00:00:00:01", "fa:00:00:00:00:01"),
        (values.ip_address, "fd00:0::5", "fd00::5"),
        (values.wwn, "0x500000000000000A", "0x500000000000000A"),
        (values.interface_name, "a" * 15, "a" * 15),
        (values.network_name, "my net", "my net"),
        (values.absolute_path, "/a b", "/a b"),
        (values.socket_path, "/" + "é" * 53, "/" + "é" * 53),
        (values.machine, "pc-i440fx-7.2", "pc-i440fx-7.2"),
        (values.cpu_model, "Skylake+x", "Skylake+x"),
        (values.cpu_vendor_id, "AuthenticAMD", "AuthenticAMD"),
        (values.hyperv_vendor_id, "x" * 12, "x" * 12),
        (values.cpu_set, "0-3, ^2, 8", "0-3,^2,8"),
        (values.pci_function, "a:1f.7", "0000:0a:1f.7"),
        (values.pci_device, "a:00.0", ("0000:0a:00.0", "")),
        (values.pci_device, "a:00.0,/rom", ("0000:0a:00.0", "/rom")),
        (values.pci_device, "a:00.0," + UUID, ("0000:0a:00.0", UUID.replace("-", ""))),
        (values.nic_queue_size, 256, 256),
        (values.nic_queue_size, 512, 512),
        (values.nic_queue_size, 1024, 1024),
        (values.number(*values.MTUS), 68, 68),
        (values.number(*values.MTUS), 65521, 65521),
        (values.number(1, values.MAX_NIC_QUEUES), 256, 256),
        (values.usb_address, "001:127:0781:c077:2.0.1", (1, 127, 0x781, 0xC077, 2, "", 0)),
        (values.usb_address, "1:2:1:0:3:redirect:4001:::1", (1, 2, 1, 0, 3, "::1", 4001)),
        (values.usb_address, "1:2:1:0:3:PassThrough:-1:h", (1, 2, 1, 0, 3, "", 0)),
        (values.file_name, "a.b_c-d", "a.b_c-d"),
        (values.power_of_two(4, 16), 16, 16),
        (values.ceph_key, "b25l", "b25l"),
    ],
)
def test_a_value_is_returned_in_its_form(check: values.Check, value: Any, result: Any) -> None:
    assert check(value) == result


@pytest.mark.parametrize(
    ("check", "value", "reason"),
    [
        (values.xml_text, "a\x00", "contains the character U+0000"),
        (values.xml_text, "\ud800", "contains the character U+D800"),
        (values.line, "a\nb", "contains the control character U+000A"),
        (values.number(1, 5), 0, "must be between 1 and 5"),
        (values.number(1, 5), 6, "must be between 1 and 5"),
        (values.memory, 0, "must be greater than 0"),
        (values.memory, MIB - 1, "is less than 1 MiB"),
        (values.memory, (1 << 50) + 1, "is more than 1 PiB"),
        (values.disk_size, MIB - 512, "is less than 1 MiB"),
        (values.disk_size, MIB + 1, "is not a multiple of 512 bytes"),
        (values.disk_size, (1 << 60) + 512, "is more than 1 EiB"),
        (values.uuid, UUID[:-1], "is not a UUID"),
        (values.uuid, UUID.replace("-", "", 1), "is not a UUID"),
        (values.mac, "fa-00-00-00-00-01", "is not a MAC address"),
        (values.mac, "01:00:5e:00:00:01", "is a multicast MAC address"),
        (values.mac, "00:00:00:00:00:00", "is the null MAC address"),
        (values.ip_address, "10.0.0.256", "is neither an IPv4 nor an IPv6 address"),
        (values.ip_address, "fe80::1%eth0", "has a zone"),
        (values.wwn, "0x5000", "is not a WWN"),
        (values.interface_name, "a/b", "is not a network device name"),
        (values.interface_name, "..", "is not a network device name"),
        (values.interface_name, "a" * 16, "is longer than 15 characters"),
        (values.network_name, "a/b", "is not the name of a libvirt network"),
        (values.absolute_path, "a/b", "is not an absolute path"),
        (values.socket_path, "/" + "é" * 54, "is longer than 107 bytes"),
        (values.machine, "pc 7", "is not a machine type"),
        (values.cpu_model, "a,b", "is not a CPU model"),
        (values.cpu_vendor_id, "AMD", "is not a CPU vendor"),
        (values.cpu_vendor_id, "Authentic,MD", "is not a CPU vendor"),
        (values.hyperv_vendor_id, "é" * 7, "is longer than 12 bytes"),
        (values.cpu_set, "0-", "is not a set of CPUs"),
        (values.cpu_set, "3-1", "is an empty set of CPUs"),
        (values.pci_function, "a:20.0", "is not a PCI address: slots end at 1f"),
        (values.pci_function, "a:00.8", "is not a PCI address: slots end at 1f"),
        (values.pci_function, "0000:00:00.0", "is the PCI address of the host bridge"),
        (values.pci_device, "a:00.0,rom", "has a comma"),
        (values.number(*values.MTUS), 67, "must be between 68 and 65521"),
        (values.number(*values.MTUS), 65522, "must be between 68 and 65521"),
        (values.number(1, values.MAX_NIC_QUEUES), 257, "must be between 1 and 256"),
        (values.nic_queue_size, 500, "must be 256, 512 or 1024"),
        (values.usb_address, "1:2:3:4", "is not a USB device: BUS"),
        (values.usb_address, "0:2:1:1:2", "is not a USB device: buses are numbered from 1"),
        (values.usb_address, "1:128:1:1:2", "is not a USB device: buses are numbered from 1"),
        (values.usb_address, "1:2:0:1:2", "is not a USB device: vendor 0"),
        (values.usb_address, "1:2:1:1:4", "is not a USB device that a guest can use"),
        (values.usb_address, "1:2:1:1:2:redirect:0:::1", "redirects a USB device from no TCP port"),
        (values.usb_address, "1:2:1:1:2:redirect:1:h", "redirects a USB device from no IP address"),
        (values.file_name, "..", "is not a file name"),
        (values.power_of_two(4, 16), 12, "must be a power of two between 4 and 16"),
        (values.power_of_two(4, 16), 32, "must be a power of two between 4 and 16"),
        (values.ceph_key, "", "is not a cephx key"),
        (values.ceph_key, "b25", "is not a cephx key"),
        (values.ceph_key, "é", "is not a cephx key"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(check: values.Check, value: Any, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        check(value)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("text", "cpus"), [("0-2", {0, 1, 2}), ("0-3,^2", {0, 1, 3}), ("^2,0-3", {0, 1, 2, 3}), ("3-1", set())]
)
def test_the_cpus_of_a_set(text: str, cpus: set[int]) -> None:
    assert values.cpus_of(text) == cpus
