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


def add_scsi_controller(devices: etree._Element, context: BuildContext) -> None:
    """Add the controller of all SCSI disks, even while the VM has none."""
    add(devices, "controller", type="scsi", index="0", model="virtio-scsi")
