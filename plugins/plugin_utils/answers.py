# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what hypervisors have answered when they were asked which VMs they run.

An answer has C(item), the name of the host, and either C(active), the UUIDs of its active VMs, with its C(uuid) and
C(hostname), or C(msg), the reason why it could not be asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean

NOT_ANSWERED = "%s cannot be queried for its running VMs%s"


def answer_of(host: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer in a result of C(zstack_host_info)."""
    if result.get("failed") or "vms" not in result:
        return {"item": host, "msg": _reason(result)}
    active = [vm["uuid"] for vm in result["vms"] if vm["active"]]
    return {"item": host, "uuid": result["uuid"], "hostname": result["hostname"], "active": active}


def _reason(result: Mapping[str, Any]) -> str:
    """Return the message of a failure, with the last line of what was printed instead of a result."""
    printed = [line.strip() for line in str(result.get("module_stderr") or "").splitlines() if line.strip()]
    message = str(result.get("msg", ""))
    return "%s (%s)" % (message, clean(printed[-1])) if printed else message


def own_answer(host: str, variables: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """Return what a host of the play has answered for itself, which its variables hold; None without answer.

    A host that was unreachable when its VMs were checked will be so again: that is its answer. All other failures of
    the check are no answer.
    """
    checked = variables.get("zstack_vms_checked") or {}
    seen = checked.get("hypervisor")
    if seen:
        return {"item": host, "uuid": seen["uuid"], "hostname": seen["hostname"], "active": seen["active"]}
    if checked.get("unreachable"):
        return {"item": host, "msg": checked.get("msg", "")}
    asked = variables.get("zstack_hypervisor_asked")
    return answer_of(host, asked) if asked else None


def answers_of_loop(registered: Optional[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the answers to the queries of a loop of C(zstack_host_query), of which this is the result."""
    for result in (registered or {}).get("results") or ():
        if result.get("failed") or result.get("unreachable"):
            # A query that could not even be started; what the last result has is more, and comes later
            yield {"item": result["item"], "msg": result.get("msg", "")}
        yield from result.get("answers") or ()


def not_answered(answer: Mapping[str, Any]) -> str:
    """Return the sentence about a hypervisor that has not answered."""
    reason = str(answer.get("msg", "")).strip()
    return NOT_ANSWERED % (answer["item"], ": " + reason if reason else "")
