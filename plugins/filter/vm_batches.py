# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that splits the VMs of a host into batches, to show progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.module_utils._spec.guest_waits import NEEDS_GUEST
from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuid_digits import digits_of

DOCUMENTATION = r"""
name: vm_batches
short_description: Split VMs into batches
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Splits the VMs of a host into batches, each for its own task (M(zstack.kvm.zstack_vm_start)). A task shows its
    result when all of its VMs are done; with batches an operator sees the progress. C(playbooks/start_vms.yml) does so
    with C(zstack_batch).
  - VMs with O(zstack.kvm.zstack_vm_start#module:vms[].start_order) are together in the first batch, whatever their
    number, because their order applies within one task, which does not start later ones when an earlier one fails.
  - If an option of one of the VMs is invalid, all VMs are in one batch. So the module reports it before anything is
    touched.
positional: _input
options:
  _input:
    description:
      - The VMs, with the options of M(zstack.kvm.zstack_vm_start).
    type: list
    elements: dict
    required: true
  size:
    description:
      - The maximum number of VMs in a batch. If omitted or an empty string, all VMs are in one batch.
    type: int
  checked:
    description:
      - The registered result of M(zstack.kvm.zstack_vm_start) for all of the VMs in check mode.
    type: dict
"""

EXAMPLES = r"""
- name: Start VMs, ten at a time
  zstack.kvm.zstack_vm_start:
    vms: "{{ item.indexes | map('extract', hypervisor_vms) }}"
  loop: "{{ hypervisor_vms | zstack.kvm.vm_batches(10) }}"
  loop_control:
    label: "{{ item.label }}"
"""

RETURN = r"""
_value:
  description:
    - The batches; empty if there are no VMs.
  type: list
  elements: dict
  contains:
    indexes:
      description:
        - The VMs of the batch, as indexes into the list. The VMs themselves would reveal passwords in the output.
      type: list
      elements: int
    names:
      description:
        - The names of its VMs by their UUIDs. A missing UUID or name is an empty string.
      type: dict
    label:
      description:
        - The number and names of its VMs, for people.
      type: str
      sample: "10 of 100 VMs: web11 … web20"
    in_sync:
      description:
        - Whether O(checked) shows that a task would do nothing for these VMs. It must have a result for each of them,
          without a change, a warning or an error, and none may have something to wait for
          (O(zstack.kvm.zstack_vm_start#module:vms[].wait_for)).
      type: bool
"""

_NAMES_SHOWN = 5


def vm_batches(vms: Sequence[Any], size: Any = None, checked: Any = None) -> list[dict[str, Any]]:
    """Return the batches."""
    if size in (None, ""):
        batches = [list(range(len(vms)))] if vms else []
    else:
        batches = _batches(vms, _number(size))
    entries = {digits_of(entry["uuid"]): entry for entry in (checked or {}).get("vms") or ()}
    return [_described(batch, vms, entries) for batch in batches]


def _number(size: Any) -> int:
    try:
        number = int(size)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(size, bool):
        raise AnsibleFilterError("the size of a batch must be a whole number from 1")
    return number


def _batches(vms: Sequence[Any], size: int) -> list[list[int]]:
    # Ansible loads all filters of the collection for any of them, in every process and uncompiled.
    from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms

    parsed, problems = parse_vms(list(vms))
    if problems:
        # The module reports them
        return [list(range(len(vms)))]
    numbered = [index for index, vm in enumerate(parsed) if vm.start_order is not None]
    others = [index for index, vm in enumerate(parsed) if vm.start_order is None]
    batches = [others[begin : begin + size] for begin in range(0, len(others), size)]
    return [numbered, *batches] if numbered else batches


def _described(batch: Sequence[int], vms: Sequence[Any], entries: Mapping[str, Any]) -> dict[str, Any]:
    # What is not a mapping is left to the module's validation.
    described = [vms[index] if isinstance(vms[index], Mapping) else {} for index in batch]
    return {
        "indexes": batch,
        "names": {str(vm.get("uuid", "")): str(vm.get("name", "")) for vm in described},
        "label": _label([str(vm.get("name", "?")) for vm in described], len(vms)),
        "in_sync": all(_is_in_sync(vm, entries.get(digits_of(vm.get("uuid")))) for vm in described),
    }


def _label(names: Sequence[str], total: int) -> str:
    shown = ", ".join(names) if len(names) <= _NAMES_SHOWN else "%s … %s" % (names[0], names[-1])
    return shown if len(names) == total else "%d of %d VMs: %s" % (len(names), total, shown)


def _is_in_sync(vm: Mapping[str, Any], entry: Optional[Mapping[str, Any]]) -> bool:
    """Return whether nothing is left to do for a VM.

    What is a warning in check mode may be an error otherwise, and check mode waits for nothing.
    """
    is_quiet = entry is not None and not (entry["changed"] or entry["warnings"] or entry.get("error"))
    return is_quiet and vm.get("wait_for") not in NEEDS_GUEST


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vm_batches": vm_batches}
