# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the host can run this kind of domain: architecture, domain type, emulator, machine."""

from __future__ import annotations

from collections.abc import Iterable

from .._errors.errors import Problem
from .._host.capabilities import GuestType, guest_type
from .._host.machine_types import newest_machine
from .context import BuildContext


def emulator_of(context: BuildContext) -> str:
    """Return the emulator's path; empty if the host has none and the VM names none."""
    guest = guest_type(context.kind, context.host.capabilities)
    return context.kind.emulator or context.capabilities.emulator or (guest.emulator if guest else "")


def check_kind(context: BuildContext) -> None:
    """Report which part of the kind the host lacks."""
    kind = context.kind
    if context.vm.machine is None and kind.machine == "q35":
        context.warnings.append("the host has no machine pc: the VM gets q35, with SATA instead of IDE")
    if kind in context.host.domain_capabilities:
        return
    types = context.host.capabilities.guests.get(kind.arch, {})
    guest = types.get(kind.domain_type)
    if not types:
        _lacks(
            context,
            "unsupported_arch",
            "arch",
            "the host has no emulator for %s (it has: %s)" % (kind.arch, _listed(context.host.capabilities.guests)),
        )
    elif guest is None:
        _lacks(
            context,
            "unsupported_domain_type",
            "domain_type",
            "the host cannot run %s domains of type %s (it has: %s)" % (kind.arch, kind.domain_type, _listed(types)),
        )
    elif kind.emulator is None and kind.machine not in guest.machines:
        _lacks(
            context,
            "unsupported_machine",
            "machine",
            "%s has no machine type %s (it has: %s)"
            % (guest.emulator, kind.machine, _listed(name for name in guest.machines if "-" not in name)),
            _machine_hint(kind.machine, guest),
        )
    else:
        _lacks(
            context,
            "emulator_missing",
            "emulator",
            "libvirt gets no capabilities from %s for domain type %s and machine %s"
            % (emulator_of(context), kind.domain_type, kind.machine),
        )


def _machine_hint(machine: str, guest: GuestType) -> str:
    newest = newest_machine(machine, guest)
    return "Set machine to %s, which is of the same board, or on_missing_machine to newest." % newest if newest else ""


def _lacks(context: BuildContext, code: str, option: str, message: str, hint: str = "") -> None:
    context.missing.append(Problem(context.option_path(option), message, code, hint))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
