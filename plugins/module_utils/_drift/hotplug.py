# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be plugged into, and taken out of, a running domain, and as which XML."""

from __future__ import annotations

import copy

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .identity import machine_family, number

_PCI_SLOTS = 32
# A guest's Linux plugs memory in blocks of this size.
MEMORY_BLOCK_KIB = 128 * 1024


def can_be_plugged(device: etree._Element, live: etree._Element) -> bool:
    """Whether such a disk or NIC can come and go while the domain runs, and there is a place for one more."""
    if device.tag == "interface":
        return has_free_slot(live)
    bus = _target(device, "bus")
    if device.get("device") == "cdrom":
        return False
    if bus == "scsi":
        return live.find('devices/controller[@type="scsi"]') is not None
    return bus == "virtio" and has_free_slot(live)


def can_be_unplugged(device: etree._Element) -> bool:
    """Whether a running guest can let go of this disk or NIC: not of what it booted from, nor of IDE and SATA."""
    if device.tag == "interface":
        return True
    return device.get("device") != "cdrom" and _target(device, "bus") in ("virtio", "scsi") and not is_root(device)


def is_root(device: etree._Element) -> bool:
    """Whether this is the root volume: it has the first letter."""
    return device.tag == "disk" and _target(device, "dev")[2:] == "a"


def _target(device: etree._Element, attribute: str) -> str:
    target = device.find("target")
    return "" if target is None else target.get(attribute, "")


def has_free_slot(live: etree._Element) -> bool:
    """Whether a PCI device can be added: a free slot, or with PCI Express a free root port."""
    os_type = live.find("os/type")
    machine = "" if os_type is None else os_type.get("machine", "")
    used = {
        (number(address.get("bus")), number(address.get("slot")))
        for address in live.iterfind('devices/*/address[@type="pci"]')
    }
    if machine_family(machine) == "pc":
        return len({slot for bus, slot in used if bus == 0} | {0}) < _PCI_SLOTS
    ports = {number(port.get("index")) for port in live.iterfind('devices/controller[@model="pcie-root-port"]')}
    return bool(ports - {bus for bus, _slot in used})


def attachable(device: etree._Element, live: etree._Element) -> str:
    """The XML with which a device is plugged in: without what only a device has that is there already."""
    plugged = copy.deepcopy(device)
    for part in ("alias", "backingStore", "mirror"):
        for each in plugged.findall(part):
            plugged.remove(each)
    if live.find("os/boot") is not None:
        # libvirt takes an order of devices only where there is no order of kinds.
        for each in plugged.findall("boot"):
            plugged.remove(each)
    return text(plugged)


def dimm(kib: int) -> str:
    """Memory to plug in."""
    memory = etree.Element("memory", model="dimm")
    target = etree.SubElement(memory, "target")
    etree.SubElement(target, "size", unit="KiB").text = str(kib)
    etree.SubElement(target, "node").text = "0"
    return text(memory)


def text(element: etree._Element) -> str:
    """An element as XML."""
    return etree.tostring(element, encoding="unicode", with_tail=False)
