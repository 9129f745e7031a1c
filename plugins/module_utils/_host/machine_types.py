# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of machine types, of which each QEMU has some. Pure."""

from __future__ import annotations

from typing import Optional

from .._spec.vm import Vm
from .capabilities import Capabilities, GuestType, domain_kind, guest_type


def machine_family(machine: str) -> str:
    """Return the board of a machine type, whatever its version: pc, q35, virt, or the machine type itself."""
    if machine == "q35" or machine.startswith("pc-q35-"):
        return "q35"
    # Enterprise Linux 6 named its pc machines after the release.
    if machine == "pc" or machine.startswith(("pc-", "rhel6.")):
        return "pc"
    if machine == "virt" or machine.startswith("virt-"):
        return "virt"
    return machine


def newest_machine(machine: str, guest: GuestType) -> Optional[str]:
    """Return the version that the emulator prefers of a machine type's board, None if it has none."""
    return guest.newest.get(machine_family(machine))


def on_newest_machine(vm: Vm, capabilities: Capabilities) -> Vm:
    """Return the VM with its board in any version, if the host does not have the version that its options name."""
    guest = guest_type(domain_kind(vm, capabilities), capabilities)
    if vm.machine is None or guest is None or vm.emulator not in (None, guest.emulator):
        return vm
    if vm.machine in guest.machines or newest_machine(vm.machine, guest) is None:
        return vm
    return vm._replace(machine=machine_family(vm.machine))
