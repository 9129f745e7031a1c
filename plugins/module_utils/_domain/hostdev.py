# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(hostdev): PCI and USB devices of the hypervisor that are passed through."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.device_support import PCI_ROM_DIRECTORY
from .._spec.vm import PciDevice, UsbDevice
from .context import BuildContext
from .elements import add
from .usb_address import add_usb_address
from .usb_layout import UsbPort


def add_host_pci_address(source: etree._Element, address: str, **attributes: str) -> None:
    """Add the address of one of the hypervisor's PCI devices, C(DDDD:BB:SS.F)."""
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    add(
        source,
        "address",
        domain="0x" + domain,
        bus="0x" + bus,
        slot="0x" + slot,
        function="0x" + function,
        **attributes,
    )


def add_pci_devices(devices: etree._Element, context: BuildContext) -> None:
    """Add PCI devices; libvirt detaches them from their host driver and reattaches them afterwards."""
    for device in context.vm.pci_devices:
        element = add(devices, "hostdev", mode="subsystem", type="pci", managed="yes")
        add(element, "driver", name="vfio")
        add_host_pci_address(add(element, "source"), device.address)
        rom = _rom_file(device, context)
        if rom:
            add(element, "rom", bar="on", file=rom)


def _rom_file(device: PciDevice, context: BuildContext) -> str:
    if device.rom in context.host.device_support.pci_roms:
        return "%s/%s" % (PCI_ROM_DIRECTORY, device.rom)
    return device.rom if device.rom.startswith("/") else ""


def add_mdev_devices(devices: etree._Element, context: BuildContext) -> None:
    """Add mediated devices."""
    for device in context.vm.mdev_devices:
        element = add(devices, "hostdev", mode="subsystem", type="mdev", managed="yes", model="vfio-pci")
        add(add(element, "source"), "address", uuid=device.uuid)


def add_usb_devices(devices: etree._Element, context: BuildContext) -> None:
    """Add USB devices of the hypervisor, identified by bus and device number and by vendor and product."""
    for device, port in context.usb.devices:
        if device.server:
            continue
        _add_usb_device(devices, device, port)


def _add_usb_device(devices: etree._Element, device: UsbDevice, port: UsbPort) -> None:
    element = add(devices, "hostdev", mode="subsystem", type="usb", managed="yes")
    source = add(element, "source")
    add(source, "vendor", id="0x%04x" % device.vendor)
    add(source, "product", id="0x%04x" % device.product)
    add(source, "address", bus=str(device.bus), device=str(device.device))
    add_usb_address(element, port)
