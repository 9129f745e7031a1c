# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI, mediated and USB devices of the hypervisor as libvirt gets them."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DeviceSupport
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

MDEV = "c2177883-f1bb-47f0-914d-32a22e3a8804"
SPECIFICATION = "8f14e45fceea167a5a36dedd4bea2543"


def hostdevs(*roms: str, **options: Any) -> list[etree._Element]:
    """Return the devices of a VM on a host with these ROM files of ZStack."""
    host = recorded_host("debian-12")._replace(device_support=DeviceSupport(pci_roms=frozenset(roms)))
    domain = build(parsed_vm(**options), host, StorageFacts({})).element
    assert schema_errors(domain) == []
    return domain.findall("devices/hostdev")


def test_libvirt_detaches_a_pci_device_and_gives_it_back() -> None:
    (device,) = hostdevs(pci_devices=["5e:00.1"])
    assert dict(device.attrib) == {"mode": "subsystem", "type": "pci", "managed": "yes"}
    assert dict(device.find("source/address").attrib) == {
        "domain": "0x0000",
        "bus": "0x5e",
        "slot": "0x00",
        "function": "0x1",
    }


@pytest.mark.parametrize(
    ("device", "rom"),
    [
        ("5e:00.0", None),
        ("5e:00.0," + SPECIFICATION, "/var/lib/zstack/pcirom/" + SPECIFICATION),
        ("5e:00.0,0" + SPECIFICATION[1:], None),
        ("5e:00.0,/usr/share/rom.bin", "/usr/share/rom.bin"),
    ],
)
def test_a_rom_file_is_named_or_one_of_a_specification_that_the_host_has(device: str, rom: Optional[str]) -> None:
    (element,) = hostdevs(SPECIFICATION, pci_devices=[device])
    found = element.find("rom")
    assert (None if found is None else dict(found.attrib)) == (None if rom is None else {"bar": "on", "file": rom})


def test_a_mediated_device_has_its_uuid() -> None:
    (device,) = hostdevs(mdev_devices=[MDEV])
    assert dict(device.attrib) == {"mode": "subsystem", "type": "mdev", "managed": "yes", "model": "vfio-pci"}
    assert device.find("source/address").get("uuid") == MDEV
