# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which a VM boots from its devices.

libvirt takes either C(os/boot), where the first disk, CD drive or NIC stands for its kind, or an order in
each device, never both. ZStack writes the first where the CD comes first, and the second where the disk comes
first and the boot menu is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from .._spec.vm import Vm
from .disk_layout import DiskLayout


@dataclass(frozen=True)
class BootOrder:
    """The boot order: C(kinds) for os/boot, or per device: root volume, CD drives by number, NICs by index."""

    kinds: tuple[str, ...] = ()
    root_volume: Optional[int] = None
    drives: dict[int, int] = field(default_factory=dict)
    nics: dict[int, int] = field(default_factory=dict)


def plan_boot(vm: Vm, disks: DiskLayout) -> BootOrder:
    """Return the order in which a VM with these disks boots."""
    if vm.boot_dev[0] == "cdrom":
        return BootOrder(kinds=vm.boot_dev)
    if "network" in vm.boot_dev and vm.nics:
        return _order_of_devices(vm, [drive.number for drive in disks.drives])
    if vm.boot_dev[0] == "hd" and vm.use_boot_menu:
        return BootOrder(root_volume=1)
    # libvirt's own default
    return BootOrder(kinds=("hd",))


def _order_of_devices(vm: Vm, drives: list[int]) -> BootOrder:
    bootable: list[tuple[str, int]] = []
    for kind in vm.boot_dev:
        numbers = {"hd": (0,), "cdrom": drives, "network": range(len(vm.nics))}[kind]
        bootable.extend((kind, number) for number in numbers)
    orders = {device: order for order, device in enumerate(bootable, 1)}
    return BootOrder(
        root_volume=orders.get(("hd", 0)),
        drives={number: order for (kind, number), order in orders.items() if kind == "cdrom"},
        nics={number: order for (kind, number), order in orders.items() if kind == "network"},
    )
