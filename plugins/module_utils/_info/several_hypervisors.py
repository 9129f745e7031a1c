# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the hypervisors that a VM is on, among several. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ACTIVE, _UNCLEAR, _OFF = 2, 1, 0
# Reasons why one of the two QEMUs of a migration is paused; the guest is in the other.
_OF_MIGRATION = ("migration", "starting_up", "postcopy", "postcopy_failed")


def active_hypervisors(vms: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Return, by UUID, the hypervisors that each VM is on, from the results of zstack_vm_info by hypervisor.

    It is one, even if the VM is shut off or being migrated on others. Only if a VM is active on several, whose QEMUs
    may all write to its disks, they are all returned.
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
