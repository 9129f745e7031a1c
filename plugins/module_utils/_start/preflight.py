# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM that is to start needs of the hypervisor, found out before anything is changed.

Storage has its own part of this in C(storage); what the hypervisor's QEMU lacks is found by building the domain.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Optional

from .._domain.interface import NIC_FILTER
from .._errors.errors import Problem
from .._host.system import System
from .._spec.vm import PciDevice, Vm


def host_problems(vm: Vm, system: System) -> list[Problem]:
    """What of the document isn't on the hypervisor. What can only be seen there is left to libvirt elsewhere."""
    if system.is_remote:
        return []
    return [
        *_bridge_problems(vm, system),
        *_channel_problems(vm, system),
        *_pci_problems(vm, system),
        *_usb_problems(vm, system),
    ]


def network_filter_problems(vm: Vm, filters: Optional[Collection[str]]) -> list[Problem]:
    """NICs whose network filter libvirt doesn't have; C(filters) are those that it has, None where it doesn't say."""
    if filters is None or NIC_FILTER in filters:
        return []
    message = "libvirt has no network filter %s, which every NIC with an address gets" % NIC_FILTER
    return [Problem("%s.ip" % nic.place, message, "filter_failed") for nic in vm.nics if nic.ip]


def memory_warnings(vm: Vm, free: Optional[int]) -> list[str]:
    """ZStack lets VMs have more memory than there is, so that too little is never an error. C(free) is bytes."""
    if free is None or free >= vm.memory:
        return []
    return ["the hypervisor has %d MiB of memory free, and the VM is to have %d MiB" % (free >> 20, vm.memory >> 20)]


def missing_channel_directories(vm: Vm, system: System) -> list[str]:
    """The folders that the sockets of a VM's channels need and that aren't there."""
    if system.is_remote:
        return []
    wanted = dict.fromkeys(os.path.dirname(channel.socket_path) for channel in vm.channels)
    return [path for path in wanted if system.path_kind(path) is None]


def _bridge_problems(vm: Vm, system: System) -> Iterator[Problem]:
    for nic in vm.nics:
        if not system.bridge_exists(nic.bridge_name):
            place, message = "%s.bridge_name" % nic.place, "the hypervisor has no bridge %s" % nic.bridge_name
            yield Problem(place, message, "bridge_missing")


def _channel_problems(vm: Vm, system: System) -> Iterator[Problem]:
    for channel in vm.channels:
        directory = os.path.dirname(channel.socket_path)
        while directory != "/" and system.path_kind(directory) is None:
            directory = os.path.dirname(directory)
        if system.path_kind(directory) != "directory":
            message = "%s is not a directory" % directory
            yield Problem("%s.socket_path" % channel.place, message, "path_unwritable")


def _pci_problems(vm: Vm, system: System) -> Iterator[Problem]:
    for device in vm.pci_devices:
        address = _pci_address(device)
        if not system.pci_device_exists(address):
            yield Problem(device.place, "the hypervisor has no PCI device %s" % address, "device_missing")
        elif not system.has_iommu_group(address):
            message = "the PCI device %s is behind no IOMMU, so that it cannot be passed through" % address
            yield Problem(device.place, message, "iommu_missing")


def _pci_address(device: PciDevice) -> str:
    return "%04x:%02x:%02x.%x" % (device.domain, device.bus, device.slot, device.function)


def _usb_problems(vm: Vm, system: System) -> Iterator[Problem]:
    if not vm.usb_devices:
        return
    there = {(device.bus, device.device, device.vendor, device.product) for device in system.usb_devices()}
    for device in vm.usb_devices:
        if (device.bus, device.device, device.vendor, device.product) not in there:
            message = "no USB device %04x:%04x is plugged in as device %d of bus %d" % (
                device.vendor,
                device.product,
                device.device,
                device.bus,
            )
            yield Problem(device.place, message, "device_missing")
