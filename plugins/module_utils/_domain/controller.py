# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(controller): USB and SCSI."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.capabilities import is_q35
from .context import BuildContext
from .elements import add

# pcie_port_num counts the ports beside one bridge: root, bridge to PCI and that bridge are 0 to 2.
_BEFORE_PORTS = 3


def add_usb_controllers(devices: etree._Element, context: BuildContext) -> None:
    """Add the USB controllers; a companion names the first port of its master that it serves."""
    for controller in context.usb.controllers:
        element = add(devices, "controller", type="usb", index=str(controller.index))
        if controller.model:
            element.set("model", controller.model)
        if controller.first_port is not None:
            add(element, "master", startport=str(controller.first_port))


def add_scsi_controllers(devices: etree._Element, context: BuildContext) -> None:
    """Add the controller of the SCSI disks, even while the VM has none, and those that disks have for themselves.

    Where a disk only asks for SCSI, libvirt chooses the model by what QEMU has.
    """
    volumes = context.vm.volumes
    model = "auto" if any(volume.use_scsi for volume in volumes) else "virtio-scsi"
    add(devices, "controller", type="scsi", index="0", model=model)
    own = {volume.controller_index: volume for volume in volumes if volume.use_virtio_scsi and volume.controller_index}
    for index, volume in sorted(own.items()):
        controller = add(devices, "controller", type="scsi", index=str(index), model="virtio-scsi")
        if volume.io_thread:
            add(controller, "driver", iothread=str(volume.io_thread))


def add_pci_controllers(devices: etree._Element, context: BuildContext) -> None:
    """Add the desired PCI buses, occupied or not; without options libvirt adds those that it needs.

    With PCI Express: the root, a bridge to plain PCI, the bridges behind it, and the root ports that devices can be
    plugged into while the VM runs.
    """
    ports, bridges = context.vm.pcie_port_num or 0, context.vm.pci_bridge_num or 0
    if not (context.is_aarch64 or is_q35(context.kind.machine)):
        _add_pci(devices, ["pci-bridge"] * bridges, 1)
    elif ports or bridges:
        models = ["pcie-root", "dmi-to-pci-bridge", *["pci-bridge"] * bridges]
        _add_pci(devices, models + ["pcie-root-port"] * (ports + _BEFORE_PORTS - len(models)), 0)
        sata = add(devices, "controller", type="sata", index="0")
        add(sata, "address", type="pci", domain="0x0000", bus="0x00", slot="0x1f", function="0x2")


def _add_pci(devices: etree._Element, models: list[str], first: int) -> None:
    for index, model in enumerate(models, first):
        add(devices, "controller", type="pci", index=str(index), model=model)
