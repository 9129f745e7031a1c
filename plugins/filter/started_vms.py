# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that summarises what the hosts of a play returned about the VMs that they started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuid_digits import digits_of
from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean, clean_line

DOCUMENTATION = r"""
name: started_vms
short_description: Summarize the results of hosts that started VMs
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Combines the results of M(zstack.kvm.zstack_vm_start) on all hosts of a play, for people and for the next node of a
    workflow. C(playbooks/start_vms.yml) uses it at its end.
positional: _input
options:
  _input:
    description:
      - The variables of the hosts. C(inventory_hostname), C(zstack_vms_started), the registered result of a loop over
        P(zstack.kvm.vm_batches#filter), and C(zstack_vms_checked), the result of check mode, are used. The latter has
        the VMs of batches that were skipped because they are in sync.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show which VM runs on which host
  ansible.builtin.debug:
    msg: "{{ (ansible_play_hosts_all | map('extract', hostvars) | zstack.kvm.started_vms).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(lines), a table of the VMs and their errors below it, and C(vms), a mapping for each VM.
  type: dict
"""

HEADER = ("host", "VM", "state", "console", "changed", "restart due")

Row = tuple[str, ...]


def started_vms(hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a table and a list of the VMs of all hosts."""
    results = [(str(host["inventory_hostname"]), result) for host in hosts for result in _results(host)]
    rows = [tuple(map(clean_line, row)) for name, result in results for row in _rows(name, result)]
    errors = [clean(error) for name, result in results for error in _errors(name, result)]
    return {
        "lines": [*_table([HEADER, *rows]), *errors],
        "vms": [_vm_of_workflow(name, vm) for name, result in results for vm in result.get("vms") or ()],
    }


def _results(host: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the results of a host's batches. A loop without items has none, and says itself that it was skipped."""
    registered = host.get("zstack_vms_started") or {}
    checked = {digits_of(vm["uuid"]): vm for vm in (host.get("zstack_vms_checked") or {}).get("vms") or ()}
    return [_with_checked(result, checked) for result in registered.get("results") or ()] or [registered]


def _with_checked(result: Mapping[str, Any], checked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the result of a batch; if it was skipped because it is in sync, with its VMs as they were checked."""
    if result.get("skipped") and result["item"]["in_sync"]:
        return {"vms": [checked[digits_of(uuid)] for uuid in result["item"]["names"]]}
    return result


def _rows(host: str, result: Mapping[str, Any]) -> Iterator[Row]:
    for vm in result.get("vms") or ():
        state = "%s, failed" % vm["state"] if vm.get("error") else vm["state"]
        console = vm.get("console")
        shown = "%s://%s:%s" % (console["type"], console["host"], console["port"]) if console else "-"
        yield host, vm["name"], state, shown, _yes(vm["changed"]), _yes(vm["restart_required"])
    if not result.get("vms"):
        yield host, "-", _state_without_vms(result), "-", "-", "-"


def _state_without_vms(result: Mapping[str, Any]) -> str:
    if result.get("unreachable"):
        return "unreachable"
    if result.get("failed"):
        return "failed"
    return "nothing to start" if result.get("skipped") else "not asked"


def _errors(host: str, result: Mapping[str, Any]) -> Iterator[str]:
    for vm in result.get("vms") or ():
        error = vm.get("error")
        if error:
            hint = " (%s)" % error["hint"] if error.get("hint") else ""
            yield "%s, %s: %s%s" % (host, clean_line(vm["name"]), error["message"], hint)
    if not result.get("vms") and (result.get("failed") or result.get("unreachable")):
        yield "%s: %s" % (host, result.get("msg", ""))


def _vm_of_workflow(host: str, vm: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: vm[name] for name in ("uuid", "name", "state", "changed", "actions", "restart_required")}
    error = vm.get("error")
    return {**kept, "host": host, "error": error["message"] if error else None}


def _table(rows: Sequence[Row]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def _yes(value: bool) -> str:
    return "yes" if value else "no"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"started_vms": started_vms}
