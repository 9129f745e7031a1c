# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI devices of the hypervisor that are passed through."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import Context
from .elements import add


def add_pci_devices(devices: etree._Element, context: Context) -> None:
    """hostdev: libvirt takes the device from its driver and gives it back."""
    for device in context.vm.pci_devices:
        element = add(devices, "hostdev", mode="subsystem", type="pci", managed="yes")
        add(element, "driver", name="vfio")
        add(
            add(element, "source"),
            "address",
            domain="0x%04x" % device.domain,
            bus="0x%02x" % device.bus,
            slot="0x%02x" % device.slot,
            function="0x%x" % device.function,
        )
