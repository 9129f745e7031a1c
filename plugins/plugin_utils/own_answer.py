# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a hypervisor has answered for itself, when its own VMs were checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional


def own_answer(host: str, checked: Optional[Mapping[str, Any]]) -> Optional[dict[str, Any]]:
    """Return what the host has answered, as a result of C(zstack_host_info) in a loop over hosts; None without answer.

    C(checked): the registered result of C(zstack_vm_start) in check mode. A host that was unreachable, and will be so
    again, has given that as its answer. All other failures are no answer.
    """
    result = checked or {}
    seen = result.get("hypervisor")
    if seen:
        active = [{"uuid": uuid, "active": True} for uuid in seen["active"]]
        return {"item": host, "uuid": seen["uuid"], "hostname": seen["hostname"], "vms": active}
    if result.get("unreachable"):
        return {"item": host, "msg": result.get("msg", "")}
    return None


def left_to_ask(hypervisors: Sequence[str], host: str, checked: Optional[Mapping[str, Any]]) -> list[str]:
    """Return those of the hypervisors that the host has yet to query: all, without itself if it has answered."""
    has_answered = own_answer(host, checked) is not None
    return [name for name in hypervisors if not (has_answered and name == host)]
