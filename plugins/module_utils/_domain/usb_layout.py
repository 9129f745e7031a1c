# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the USB controllers of a VM and the port of every USB device.

The numbers of ports are libvirt's (virDomainUSBAddressControllerModelToPorts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

from .._errors.errors import Problem
from .._spec.vm import UsbDevice, Vm

# The ports of ZStack's four redirection devices.
_REDIRECTION_PORTS = (2, 3, 4, 6)


@dataclass(frozen=True)
class UsbController:
    """C(model) is None for the machine's own; C(first_port), of a companion, counts from 0."""

    index: int
    model: Optional[str]
    ports: int
    first_port: Optional[int] = None


class UsbPort(NamedTuple):
    """A port of a controller, counted from 1."""

    controller: int
    port: int


class UsbLayout(NamedTuple):
    """All USB devices of a VM. C(devices) are those that are passed through, or served by another host."""

    controllers: tuple[UsbController, ...]
    tablet: Optional[UsbPort]
    keyboard: Optional[UsbPort]
    redirections: tuple[UsbPort, ...]
    devices: tuple[tuple[UsbDevice, UsbPort], ...]


_REDIRECTING = (
    UsbController(0, "ich9-ehci1", 6),
    UsbController(0, "ich9-uhci1", 0, 0),
    UsbController(0, "ich9-uhci2", 0, 2),
    UsbController(0, "ich9-uhci3", 0, 4),
)
_OWN_OF_PC = UsbController(0, None, 2)
_OWN_OF_AARCH64 = UsbController(0, None, 4)
_OWN_OF_APPLIANCE = UsbController(0, "nec-xhci", 4)
# for devices of the spice client only
_SEPARATE = (UsbController(3, "ehci", 6), UsbController(4, "nec-xhci", 4))
_SEPARATE_PORTS = (UsbPort(3, 1), UsbPort(3, 2), UsbPort(4, 1), UsbPort(4, 2))
_THREE_OF_AARCH64 = (_OWN_OF_AARCH64, UsbController(1, None, 4), UsbController(2, None, 4))
# for USB 2 and 3
_MORE_OF_PC = (UsbController(1, "ehci", 6), UsbController(2, "nec-xhci", 4))
_MORE_OF_AARCH64 = (UsbController(1, "qemu-xhci", 4), UsbController(2, "qemu-xhci", 4))


def plan_usb(vm: Vm, is_aarch64: bool, problems: list[Problem]) -> UsbLayout:
    """Return controllers and ports. A device without a free port is left out and becomes a problem."""
    controllers = _controllers(vm, is_aarch64)
    free = {
        controller.index: [UsbPort(controller.index, port + 1) for port in range(controller.ports)]
        for controller in controllers
        if controller.first_port is None
    }
    tablet = None if vm.appliance else free[0].pop(0)
    redirections = _redirections(vm, is_aarch64, free[0])
    free[0] = [port for port in free[0] if port not in redirections]
    keyboard = free[0].pop(0) if is_aarch64 and not vm.appliance else None
    devices = []
    for device in vm.usb_devices:
        ports = free[_controller_of(device, vm)]
        if ports:
            devices.append((device, ports.pop(0)))
        else:
            problems.append(_no_port(device, vm, controllers, devices))
    return UsbLayout(controllers, tablet, keyboard, redirections, tuple(devices))


def _redirections(vm: Vm, is_aarch64: bool, free: list[UsbPort]) -> tuple[UsbPort, ...]:
    """Return the ports for devices of the spice client; with controllers of their own, only x86 guests have them."""
    if not vm.usb_redirect:
        return ()
    if vm.separate_usb_redirection:
        return () if is_aarch64 else _SEPARATE_PORTS
    return tuple(port for port in free if port.port in _REDIRECTION_PORTS)


def _controller_of(device: UsbDevice, vm: Vm) -> int:
    return 0 if vm.appliance else device.usb_version - 1


def _controllers(vm: Vm, is_aarch64: bool) -> tuple[UsbController, ...]:
    """Return the controllers; libvirt requires indexes without a gap."""
    if vm.appliance:
        return (_OWN_OF_APPLIANCE,)
    if vm.separate_usb_redirection:
        return _THREE_OF_AARCH64 if is_aarch64 else (_OWN_OF_PC, *_MORE_OF_PC, *_SEPARATE)
    own: tuple[UsbController, ...] = (_OWN_OF_AARCH64 if is_aarch64 else _OWN_OF_PC,)
    if vm.usb_redirect:
        own = _REDIRECTING
    highest_version = max((device.usb_version for device in vm.usb_devices), default=1)
    if not (vm.usb_redirect or is_aarch64):
        highest_version = 3
    return own + (_MORE_OF_AARCH64 if is_aarch64 else _MORE_OF_PC)[: highest_version - 1]


def _no_port(
    device: UsbDevice, vm: Vm, controllers: tuple[UsbController, ...], placed: list[tuple[UsbDevice, UsbPort]]
) -> Problem:
    index = _controller_of(device, vm)
    ports = next(controller.ports for controller in controllers if controller.index == index)
    takers = [other.option_path for other, port in placed if port.controller == index]
    if index == 0:
        takers.insert(0, "%s (%d)" % (_own_devices(vm), ports - len(takers)))
    return Problem(
        device.option_path,
        "too many USB devices: controller %d, for USB %d, has %d ports, taken by %s"
        % (index, device.usb_version, ports, ", ".join(takers)),
        "impossible_layout",
        "leave out one of the devices of this USB version",
    )


def _own_devices(vm: Vm) -> str:
    return "the VM's own input devices and redirections" if vm.usb_redirect else "the VM's own input devices"
