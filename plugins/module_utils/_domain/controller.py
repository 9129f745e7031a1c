# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(controller): USB and SCSI."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


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
