# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which devices can be plugged into and unplugged from a running domain, and build their XML."""

from __future__ import annotations

import copy
from collections.abc import Collection

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.machine_types import machine_family
from .identity import number

_PCI_SLOTS = 32
# A guest's Linux plugs memory in blocks of this size.
MEMORY_BLOCK_KIB = 128 * 1024


def can_be_plugged(device: etree._Element, live: etree._Element) -> bool:
    """Return whether such a disk or NIC can be hot-plugged, and there is a free slot for one more."""
    if device.tag == "interface":
        return has_free_slot(live)
    bus = _target(device, "bus")
    if device.get("device") == "cdrom":
        return False
    if bus == "scsi":
        return live.find('devices/controller[@type="scsi"][@index="%s"]' % _controller_of(device)) is not None
    return bus == "virtio" and has_free_slot(live)


def can_be_unplugged(device: etree._Element) -> bool:
    """Return whether this disk or NIC can be unplugged: the root volume, IDE and SATA disks cannot."""
    if device.tag == "interface":
        return True
    return device.get("device") != "cdrom" and _target(device, "bus") in ("virtio", "scsi") and not is_root(device)


def is_root(device: etree._Element) -> bool:
    """Return whether this is the root volume: it has the first letter."""
    return device.tag == "disk" and _target(device, "dev")[2:] == "a"


def _controller_of(device: etree._Element) -> str:
    address = device.find("address")
    return "0" if address is None else address.get("controller", "0")


def _target(device: etree._Element, attribute: str) -> str:
    target = device.find("target")
    return "" if target is None else target.get(attribute, "")


def has_free_slot(live: etree._Element) -> bool:
    """Return whether a PCI device can be added: there is a free slot, or with PCI Express a free root port."""
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


def attachable(device: etree._Element, live: etree._Element, taken: Collection[str] = ()) -> str:
    """Return the XML with which a device is plugged in: without what only a plugged device has.

    C(taken): the boot orders of other devices.
    """
    plugged = copy.deepcopy(device)
    for part in ("alias", "backingStore", "mirror"):
        for each in plugged.findall(part):
            plugged.remove(each)
    for each in plugged.findall("boot"):
        # libvirt accepts a boot order per device only if there is no boot order by kind (os/boot).
        if live.find("os/boot") is not None or each.get("order") in taken:
            plugged.remove(each)
    return text(plugged)


def dimm(kib: int) -> str:
    """Return the XML of a DIMM to plug in."""
    memory = etree.Element("memory", model="dimm")
    target = etree.SubElement(memory, "target")
    etree.SubElement(target, "size", unit="KiB").text = str(kib)
    etree.SubElement(target, "node").text = "0"
    return text(memory)


def text(element: etree._Element) -> str:
    """Return an element as XML."""
    return etree.tostring(element, encoding="unicode", with_tail=False)
