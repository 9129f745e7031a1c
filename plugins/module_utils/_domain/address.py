# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(address) of a device in the guest: on a PCI bus, or on a drive controller."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._spec.vm import DeviceAddress, DriveSlot
from .elements import add


def add_address(device: etree._Element, address: Optional[DeviceAddress]) -> None:
    """Add the address of a device; without one, libvirt chooses."""
    if isinstance(address, DriveSlot):
        numbers = {"controller": address.controller, "bus": address.bus, "target": address.target, "unit": address.unit}
        add(device, "address", type="drive", **{name: str(value) for name, value in numbers.items()})
    elif address is not None:
        add(
            device,
            "address",
            type="pci",
            domain="0x%04x" % address.domain,
            bus="0x%02x" % address.bus,
            slot="0x%02x" % address.slot,
            function="0x%x" % address.function,
        )
