# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine types that a domain has and the host's QEMU no longer has.

A name without a version, such as pc, stands for any version in comparisons, so that a definition keeps its own: a VM
that was defined long ago cannot start once QEMU has dropped that version.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import Capabilities
from .._host.machine_types import newest_machine
from .._spec.vm import Vm
from .identity import same_machine


class MissingMachine(NamedTuple):
    """C(name): the machine type of the domain. C(newest): that of the same board to move to, None without one."""

    name: str
    emulator: str
    newest: Optional[str]


def missing_machine(
    vm: Vm, desired: etree._Element, actual: Optional[etree._Element], capabilities: Capabilities
) -> Optional[MissingMachine]:
    """Return the machine type that a domain would keep although the emulator does not have it."""
    if actual is None:
        return None
    desired_type, kept_type = desired.find("os/type"), actual.find("os/type")
    machine = kept_type.get("machine", "")
    if kept_type.get("arch") != desired_type.get("arch"):
        return None
    # Options that name another board decide; a default does not.
    if vm.machine is not None and not same_machine(desired_type.get("machine"), machine):
        return None
    guest = capabilities.guests.get(desired_type.get("arch"), {}).get(desired.get("type"))
    if guest is None or guest.emulator != desired.findtext("devices/emulator") or machine in guest.machines:
        return None
    return MissingMachine(machine, guest.emulator, newest_machine(machine, guest))


def with_machine(domain: etree._Element, machine: str) -> etree._Element:
    """Return a copy of the domain with this machine type."""
    changed = copy.deepcopy(domain)
    changed.find("os/type").set("machine", machine)
    return changed


def missing_machine_problem(vm: Vm, missing: MissingMachine) -> Problem:
    """Return the problem of a VM that keeps its machine type."""
    message = "the domain has the machine type %s, which %s no longer has" % (missing.name, missing.emulator)
    if missing.newest is None:
        hint = "Set machine to a type of another board: the guest gets new hardware."
        return _problem(vm, message + ", nor another of the same board", hint)
    hint = "Set on_missing_machine to newest: the guest gets the board in its version %s." % missing.newest
    return _problem(vm, message, hint)


def saved_memory_problem(vm: Vm, missing: MissingMachine) -> Problem:
    """Return the problem of a VM whose saved memory would be restored on its machine type."""
    message = "the VM's memory was saved on the machine type %s, which %s no longer has" % (
        missing.name,
        missing.emulator,
    )
    return _problem(vm, message, "Restore the VM on a hypervisor that has it, or set saved_state to discard.")


def _problem(vm: Vm, message: str, hint: str) -> Problem:
    return Problem("%s.machine" % vm.option_path, message, "unsupported_machine", hint)
