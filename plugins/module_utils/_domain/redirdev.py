# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(redirdev): USB devices of the spice client."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .._spec.vm import UsbDevice
from .context import BuildContext
from .elements import add
from .usb_address import add_usb_address
from .usb_layout import UsbPort

_RECONNECT_SECONDS = 5


def add_redirections(devices: etree._Element, context: BuildContext) -> None:
    """Add ports for USB devices of the spice client, and the USB devices that other hosts serve."""
    served = any(device.server for device in context.vm.usb_devices)
    if (context.vm.usb_redirect or served) and not offers(context.capabilities.redirdev_buses, "usb"):
        context.missing.append(
            Problem(
                context.option_path("usb_redirect" if context.vm.usb_redirect else "usb_devices"),
                "the host's QEMU cannot redirect USB devices",
                "unsupported_device",
                "set usb_redirect to false" if context.vm.usb_redirect else "leave out the redirected devices",
            )
        )
    for port in context.usb.redirections:
        add_usb_address(add(devices, "redirdev", bus="usb", type="spicevmc"), port)
    for device, port in context.usb.devices:
        if device.server:
            _add_served_device(devices, device, port)


def _add_served_device(devices: etree._Element, device: UsbDevice, port: UsbPort) -> None:
    """Add a USB device of another host; QEMU reconnects to the server there."""
    element = add(devices, "redirdev", bus="usb", type="tcp")
    source = add(element, "source", mode="connect", host=device.server, service=str(device.port))
    add(source, "reconnect", enabled="yes", timeout=str(_RECONNECT_SECONDS))
    add_usb_address(element, port)
