# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that splits the VMs of a host into batches, to show progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import SecretMask

DOCUMENTATION = r"""
name: vm_batches
short_description: Part VMs into batches
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Parts the VMs of a host into batches, each for a task of its own (M(zstack.kvm.zstack_vm_start)). What a task did is
    shown when all of its VMs are done; so an operator sees which VMs are done while the rest go on.
    C(playbooks/start_vms.yml) does so with C(zstack_batch).
  - VMs with O(zstack.kvm.zstack_vm_start#module:vms[].start_order) are together in the first batch, whatever their
    number, because a task keeps their order, and leaves later ones alone when an earlier one fails.
  - As soon as there are batches, all VMs are checked here, so that what is wrong with the description of one still
    stops everything before anything is touched.
positional: _input
options:
  _input:
    description:
      - The VMs, in the options of M(zstack.kvm.zstack_vm_start).
    type: list
    elements: dict
    required: true
  size:
    description:
      - How many VMs a batch has at most. Nothing, or an empty text, for one batch with all of them.
    type: int
"""

EXAMPLES = r"""
- name: Start VMs, ten at a time
  zstack.kvm.zstack_vm_start:
    vms: "{{ item.places | map('extract', hypervisor_vms) }}"
  loop: "{{ hypervisor_vms | zstack.kvm.vm_batches(10) }}"
  loop_control:
    label: "{{ item.label }}"
"""

RETURN = r"""
_value:
  description:
    - The batches, none without VMs.
  type: list
  elements: dict
  contains:
    places:
      description:
        - Which VMs the batch has, as their places in the list. The VMs themselves would show passwords in the output.
      type: list
      elements: int
    label:
      description:
        - Their names.
      type: str
      sample: "10 of 100 VMs: web11 … web20"
"""

_NAMES_SHOWN = 5


def vm_batches(vms: Sequence[Any], size: Any = None) -> list[dict[str, Any]]:
    """Return the batches; the problems of all VMs in one error where there is more than one."""
    if size in (None, ""):
        batches = [list(range(len(vms)))] if vms else []
    else:
        batches = _batches(vms, _number(size))
    return [{"places": batch, "label": _label(batch, vms)} for batch in batches]


def _number(size: Any) -> int:
    try:
        number = int(size)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(size, bool):
        raise AnsibleFilterError("the size of a batch must be a whole number from 1")
    return number


def _batches(vms: Sequence[Any], size: int) -> list[list[int]]:
    parsed, problems = parse_vms(list(vms))
    if problems:
        raise AnsibleFilterError(SecretMask(secrets_of(list(vms))).text("\n".join(map(str, problems))))
    numbered = [option_path for option_path, vm in enumerate(parsed) if vm.start_order is not None]
    others = [option_path for option_path, vm in enumerate(parsed) if vm.start_order is None]
    batches = [others[begin : begin + size] for begin in range(0, len(others), size)]
    return [numbered, *batches] if numbered else batches


def _label(batch: Sequence[int], vms: Sequence[Any]) -> str:
    names = [
        str(vms[option_path].get("name", "?")) if isinstance(vms[option_path], Mapping) else "?"
        for option_path in batch
    ]
    if len(names) > _NAMES_SHOWN:
        names = ["%s … %s" % (names[0], names[-1])]
    shown = ", ".join(names)
    return shown if len(batch) == len(vms) else "%d of %d VMs: %s" % (len(batch), len(vms), shown)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vm_batches": vm_batches}
