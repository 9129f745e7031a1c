# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""USB: controllers, input devices, redirection, passed-through devices."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .._spec.vm import UsbDevice
from .context import Context
from .elements import add
from .usb_layout import UsbPort


def add_usb_controllers(devices: etree._Element, context: Context) -> None:
    """The controllers, companions with the port of their master that they begin at."""
    for controller in context.usb.controllers:
        element = add(devices, "controller", type="usb", index=str(controller.index))
        if controller.model:
            element.set("model", controller.model)
        if controller.first_port is not None:
            add(element, "master", startport=str(controller.first_port))


def add_inputs(devices: etree._Element, context: Context) -> None:
    """A tablet, so that the pointer is where the mouse is; aarch64 has no keyboard of its own."""
    _add_port(add(devices, "input", type="tablet", bus="usb"), context.usb.tablet)
    if context.usb.keyboard:
        _add_port(add(devices, "input", type="keyboard", bus="usb"), context.usb.keyboard)


def add_spice_channel(devices: etree._Element, context: Context) -> None:
    """The way of the spice agent, which ZStack gives to VMs with redirection."""
    if context.vm.usb_redirect:
        add(add(devices, "channel", type="spicevmc"), "target", type="virtio", name="com.redhat.spice.0")


def add_redirections(devices: etree._Element, context: Context) -> None:
    """Devices of whoever looks at the spice console."""
    if context.vm.usb_redirect and not offers(context.capabilities.redirdev_buses, "usb"):
        context.missing.append(
            Problem(
                context.place("usb_redirect"),
                "the host's QEMU cannot redirect USB devices",
                "unsupported_device",
                "set usb_redirect to false",
            )
        )
    for port in context.usb.redirections:
        _add_port(add(devices, "redirdev", bus="usb", type="spicevmc"), port)


def add_usb_devices(devices: etree._Element, context: Context) -> None:
    """Devices of the hypervisor, named by where they are plugged in and by what they must be."""
    for device, port in context.usb.devices:
        _add_usb_device(devices, device, port)


def _add_usb_device(devices: etree._Element, device: UsbDevice, port: UsbPort) -> None:
    element = add(devices, "hostdev", mode="subsystem", type="usb", managed="yes")
    source = add(element, "source")
    add(source, "vendor", id="0x%04x" % device.vendor)
    add(source, "product", id="0x%04x" % device.product)
    add(source, "address", bus=str(device.bus), device=str(device.device))
    _add_port(element, port)


def _add_port(element: etree._Element, port: UsbPort) -> None:
    add(element, "address", type="usb", bus=str(port.controller), port=str(port.port))
