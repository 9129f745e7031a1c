# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that several hypervisors have: where they are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ACTIVE, _UNCLEAR, _OFF = 2, 1, 0
# Why one of the two QEMUs of a migration is paused; the guest is in the other.
_OF_MIGRATION = ("migration", "starting_up", "postcopy", "postcopy_failed")


def places(vms: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, list[str]]:
    """The hypervisors where each VM is, by its UUID, from what zstack_vm_info tells of the VMs of each hypervisor.

    That is one, wherever else the VM is shut off or on its way to or from. Only of a VM that is active on several,
    whose QEMUs may all write to its disks, it is these.
    """
    ranks: dict[str, dict[str, int]] = {}
    for hypervisor, entries in vms.items():
        for entry in entries:
            ranks.setdefault(entry["uuid"], {})[hypervisor] = _rank(entry)
    found = {}
    for uuid, ranked in ranks.items():
        best = max(ranked.values())
        names = [hypervisor for hypervisor, rank in ranked.items() if rank == best]
        found[uuid] = names if best == _ACTIVE else names[:1]
    return found


def _rank(entry: Mapping[str, Any]) -> int:
    state, reason = entry["state"], entry.get("reason")
    if state in ("absent", "shutoff"):
        return _OFF
    return _UNCLEAR if state == "unknown" or (state == "paused" and reason in _OF_MIGRATION) else _ACTIVE
