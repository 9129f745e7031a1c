# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that combines hypervisors, their VMs and their problems for a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Optional

from ansible_collections.zstack.kvm.plugins.module_utils._info.several_hypervisors import active_hypervisors
from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuid_digits import digits_of
from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean_all, clean_line

DOCUMENTATION = r"""
name: fleet_report
short_description: Summarize the state of hypervisors and their VMs
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Compares the results of M(zstack.kvm.zstack_host_info) and M(zstack.kvm.zstack_vm_info) for many hypervisors with
    the desired VMs, and marks what needs attention. C(playbooks/report.yml) renders a page from it.
  - A hypervisor that didn't answer is down; the state of the VMs that should run there is unknown.
  - A VM that is active on several hypervisors needs attention on each.
positional: _input
options:
  _input:
    description:
      - The hypervisors.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the hypervisor.
        type: str
      hypervisor:
        description: The registered result of M(zstack.kvm.zstack_host_info), also if it failed.
        type: dict
      vms:
        description: The registered result of M(zstack.kvm.zstack_vm_info), also if it failed.
        type: dict
      wanted:
        description: The names of the VMs that the hypervisor should run, by their UUIDs.
        type: dict
      problem:
        description: Why its VMs couldn't be compared with their options; empty if they could.
        type: str
  workflow:
    description:
      - VMs that an earlier run processed, of which C(uuid), C(name), C(host), C(changed) and C(error), a string, are
        used. They are expected to run.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show which VMs of one hypervisor need attention
  ansible.builtin.debug:
    msg: "{{ report.vms | selectattr('level', 'in', ['bad', 'warn']) | map(attribute='name') }}"
  vars:
    report: "{{ [{'name': 'hv1', 'hypervisor': seen, 'vms': vms_seen}] | zstack.kvm.fleet_report }}"
"""

RETURN = r"""
_value:
  description:
    - C(hypervisors) and C(vms), a list of mappings each, most urgent first, and C(summary) of both.
    - A mapping has a C(level), V(bad), V(warn), V(ok) or V(off), and C(marks), the reasons for it.
  type: dict
"""

_LEVELS = ("bad", "warn", "ok", "off")
_FACTS = ("hostname", "arch", "libvirt_version", "qemu_version", "cpus", "memory", "load_average", "domain_types")
_BASE64 = re.compile("[A-Za-z0-9+/]+={0,2}")

Row = dict[str, Any]


def fleet_report(
    hypervisors: Sequence[Mapping[str, Any]], workflow: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return rows of hypervisors and of VMs, and a summary."""
    hypervisors, workflow = clean_all(hypervisors), clean_all(workflow)
    hypervisor_rows, vm_rows = [], []
    where = active_hypervisors({each["name"]: (each.get("vms") or {}).get("vms") or () for each in hypervisors})
    for each in hypervisors:
        done = {digits_of(vm.get("uuid")): vm for vm in workflow if vm.get("host") == each["name"]}
        rows = _vms(each, done, where)
        hypervisor_rows.append(_hypervisor(each, rows))
        vm_rows += rows
    hypervisor_rows.sort(key=lambda row: (_LEVELS.index(row["level"]), _natural(row["name"])))
    vm_rows.sort(key=lambda row: (_LEVELS.index(row["level"]), _natural(row["hypervisor"]), _natural(row["name"])))
    return {"hypervisors": hypervisor_rows, "vms": vm_rows, "summary": _summary(hypervisor_rows, vm_rows)}


def _natural(text: Any) -> list[tuple[int, str]]:
    """Return a sort key that puts hv10 after hv9."""
    parts = re.split(r"([0-9]+)", str(text).lower())
    # By length and digits: a name may have more of them than Python converts to a number.
    return [_by_size(part.lstrip("0")) if index % 2 else (0, part) for index, part in enumerate(parts)]


def _by_size(digits: str) -> tuple[int, str]:
    return len(digits), digits


def _mark(level: str, text: str) -> dict[str, str]:
    return {"level": level, "text": text}


def _level(marks: Iterable[Mapping[str, str]], otherwise: str) -> str:
    found = {mark["level"] for mark in marks}
    return next((level for level in ("bad", "warn") if level in found), otherwise)


# Hypervisors


def _hypervisor(each: Mapping[str, Any], rows: Sequence[Row]) -> Row:
    asked, seen, problem = each.get("hypervisor") or {}, each.get("vms") or {}, each.get("problem") or ""
    active = [row for row in rows if row["runs"]]
    row: Row = {
        "name": each["name"],
        "vms": len([row for row in rows if row["state"] not in ("absent", "unknown")]),
        "active": len(active),
        "down": asked.get("uuid") is None,
        "needs_attention": len([row for row in rows if row["level"] in ("bad", "warn")]),
        "vm_cpus": sum(row["cpus"] or 0 for row in active),
        "vm_memory": sum(row["memory"] or 0 for row in active),
        "message": "",
        "marks": [],
    }
    for key in _FACTS:
        row[key] = asked.get(key)
    if row["down"]:
        row["marks"].append(_mark("bad", "unreachable" if asked.get("unreachable") else "down"))
        row["message"] = _message(asked)
    elif "vms" not in seen:
        row["marks"].append(_mark("bad", "VMs unknown"))
        row["message"] = _message(seen)
    elif problem:
        row["marks"].append(_mark("warn", "not compared"))
        row["message"] = problem.strip()
    row["level"] = _level(row["marks"], "ok")
    return row


def _message(result: Mapping[str, Any]) -> str:
    return str(result.get("msg") or "it was not queried").strip()


# VMs


def _vms(
    each: Mapping[str, Any], done: Mapping[str, Mapping[str, Any]], where: Mapping[str, Sequence[str]]
) -> list[Row]:
    """Return the VMs of a hypervisor: those that it reported, and those that it should have."""
    reported = (each.get("vms") or {}).get("vms")
    expected = {digits_of(vm["uuid"]): vm for vm in done.values() if vm.get("uuid")}
    expected.update(
        {digits_of(uuid): {"uuid": uuid, "name": name} for uuid, name in (each.get("wanted") or {}).items()}
    )
    known = {digits_of(entry["uuid"]) for entry in reported or ()}
    missing = [
        {"uuid": vm["uuid"], "state": "unknown" if reported is None else "absent"}
        for uuid, vm in expected.items()
        if uuid and uuid not in known
    ]
    return [
        _vm(
            each["name"],
            entry,
            expected.get(digits_of(entry["uuid"])),
            done.get(digits_of(entry["uuid"])),
            where.get(entry["uuid"], ()),
        )
        for entry in [*(reported or ()), *missing]
    ]


def _vm(
    hypervisor: str,
    entry: Mapping[str, Any],
    described: Optional[Mapping[str, Any]],
    done: Optional[Mapping[str, Any]],
    where: Sequence[str],
) -> Row:
    state, thumbnail = entry["state"], entry.get("thumbnail")
    of_state = _marks_of_state(state, entry.get("reason") or "", described is not None)
    marks = [
        *of_state,
        *_marks_of_qemu(hypervisor, entry, where),
        *_marks_of_cloud_init(entry),
        *_marks_of_comparison(entry),
        *_marks_of_workflow(done),
    ]
    quiet = "ok" if state == "running" else "off"
    row: Row = {
        "hypervisor": hypervisor,
        "uuid": entry["uuid"],
        "name": clean_line(entry.get("name") or (described or {}).get("name") or entry["uuid"]),
        "state": state,
        "reason": entry.get("reason") or "",
        "runs": state not in ("absent", "unknown", "shutoff"),
        "described": described is not None,
        "drift": _drift(entry, described is not None),
        "restart_required": bool(entry.get("restart_required")),
        "cloud_init": (entry.get("cloud_init") or {}).get("state"),
        "thumbnail": thumbnail if thumbnail and _BASE64.fullmatch(thumbnail) else None,
        "messages": _messages(entry, done),
        "marks": marks,
        "level": _level(marks, quiet),
        "level_of_state": _level(of_state, quiet),
    }
    for key in ("uptime", "memory", "cpus", "console", "error", "metadata"):
        row[key] = entry.get(key)
    for key in ("addresses", "disks", "nics", "differences"):
        row[key] = entry.get(key) or []
    return row


def _marks_of_state(state: str, reason: str, described: bool) -> list[dict[str, str]]:
    if state in ("unknown", "absent", "crashed"):
        return [_mark("bad", state)]
    if state == "shutoff":
        return [_mark("bad", "should run")] if described else []
    if (state, reason) == ("paused", "ioerror"):
        return [_mark("bad", "I/O error")]
    return [] if state == "running" else [_mark("warn", state)]


def _marks_of_qemu(hypervisor: str, entry: Mapping[str, Any], where: Sequence[str]) -> list[dict[str, str]]:
    others = [name for name in where if name != hypervisor] if hypervisor in where else []
    return [
        *([_mark("bad", "active on %s too" % ", ".join(others))] if others else []),
        *([_mark("bad", "QEMU hangs")] if entry.get("qemu_hangs") else []),
    ]


def _marks_of_cloud_init(entry: Mapping[str, Any]) -> list[dict[str, str]]:
    state = (entry.get("cloud_init") or {}).get("state")
    levels = {"failed": "bad", "running": "info"}
    return [_mark(levels[state], "cloud-init %s" % state)] if state in levels else []


def _marks_of_comparison(entry: Mapping[str, Any]) -> list[dict[str, str]]:
    marks = []
    if entry.get("error"):
        marks.append(_mark("bad", str(entry["error"]["code"])))
    if entry.get("in_sync") is False and entry["state"] != "absent":
        marks.append(_mark("warn", "not in sync"))
    if entry.get("restart_required"):
        marks.append(_mark("warn", "restart due"))
    return marks


def _marks_of_workflow(done: Optional[Mapping[str, Any]]) -> list[dict[str, str]]:
    if done is None:
        return []
    if done.get("error"):
        return [_mark("bad", "failed in this run")]
    return [_mark("info", "changed in this run" if done.get("changed") else "unchanged in this run")]


def _messages(entry: Mapping[str, Any], done: Optional[Mapping[str, Any]]) -> list[str]:
    error = entry.get("error")
    return [
        *([str(done["error"])] if done is not None and done.get("error") else []),
        *(["%s (%s)" % (error["message"], error["hint"])] if error else []),
        *(str(warning) for warning in entry.get("warnings") or ()),
    ]


def _drift(entry: Mapping[str, Any], described: bool) -> str:
    """Return the outcome of the comparison."""
    if entry["state"] == "absent" or entry.get("in_sync") is False:
        return "not in sync"
    if entry.get("in_sync"):
        return "in sync"
    return "not compared" if described else "not described"


# All of it


def _summary(hypervisors: Sequence[Row], vms: Sequence[Row]) -> dict[str, Any]:
    def named(rows: Iterable[Row]) -> list[dict[str, str]]:
        return [{key: str(row[key]) for key in ("name", "uuid", "hypervisor")} for row in rows]

    return {
        "hypervisors": len(hypervisors),
        "hypervisors_down": [row["name"] for row in hypervisors if row["down"]],
        "vms": len(vms),
        "running": len([row for row in vms if row["state"] == "running"]),
        "needs_attention": named(row for row in vms if row["level"] in ("bad", "warn")),
        "not_in_sync": named(row for row in vms if row["drift"] == "not in sync"),
        "restart_due": named(row for row in vms if row["restart_required"]),
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"fleet_report": fleet_report}
