# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which a VM boots from its devices.

libvirt takes either C(os/boot), where the first disk, CD drive or NIC stands for its kind, or an order in
each device, never both. Devices may bring their own order. Otherwise C(boot_dev) gives it: ZStack 2.3.1 writes the
first where the CD comes first, and the second where the disk comes first and the boot menu is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from .._spec.vm import Vm
from .disk_layout import DiskLayout


class BootOrder(NamedTuple):
    """The boot order: C(kinds) for os/boot, or per device: volumes, LUNs and drives by number, NICs by index."""

    kinds: tuple[str, ...] = ()
    volumes: Mapping[int, int] = MappingProxyType({})
    luns: Mapping[int, int] = MappingProxyType({})
    drives: Mapping[int, int] = MappingProxyType({})
    nics: Mapping[int, int] = MappingProxyType({})


def plan_boot(vm: Vm, disks: DiskLayout) -> BootOrder:
    """Return the order in which a VM with these disks boots."""
    given = _given_order(vm)
    if given != BootOrder():
        return given
    if vm.boot_dev[:1] == ("cdrom",):
        return BootOrder(kinds=vm.boot_dev)
    if "network" in vm.boot_dev and vm.nics:
        return _order_of_devices(vm, [drive.number for drive in disks.drives])
    if vm.boot_dev[:1] == ("hd",) and vm.use_boot_menu:
        return BootOrder(volumes={0: 1})
    # libvirt's own default
    return BootOrder(kinds=("hd",))


def _given_order(vm: Vm) -> BootOrder:
    return BootOrder(
        volumes={volume.device_id: volume.boot_order for volume in vm.volumes if volume.boot_order},
        luns={lun.device_id: lun.boot_order for lun in vm.scsi_luns if lun.boot_order},
        drives={drive.device_id: drive.boot_order for drive in vm.cd_roms or () if drive.boot_order},
        nics={index: nic.boot_order for index, nic in enumerate(vm.nics) if nic.boot_order},
    )


def _order_of_devices(vm: Vm, drives: list[int]) -> BootOrder:
    bootable: list[tuple[str, int]] = []
    for kind in vm.boot_dev:
        numbers = {"hd": (0,), "cdrom": drives, "network": range(len(vm.nics))}[kind]
        bootable.extend((kind, number) for number in numbers)
    orders = {device: order for order, device in enumerate(bootable, 1)}
    return BootOrder(
        volumes={number: order for (kind, number), order in orders.items() if kind == "hd"},
        drives={number: order for (kind, number), order in orders.items() if kind == "cdrom"},
        nics={number: order for (kind, number), order in orders.items() if kind == "network"},
    )
