# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that maps the UUIDs of VMs to their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: vm_names
short_description: Map the UUIDs of VMs to their names
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns what may be shown and stored of VMs whose options contain secrets.
positional: _input
options:
  _input:
    description:
      - The VMs, with the options of M(zstack.kvm.zstack_vm_start).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show which VMs this host runs
  ansible.builtin.debug:
    msg: "{{ hypervisor_vms | zstack.kvm.vm_names }}"
"""

RETURN = r"""
_value:
  description:
    - The names by UUID. A missing UUID or name is an empty string.
  type: dict
"""


def vm_names(vms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the names of the VMs by their UUIDs."""
    return {str(vm.get("uuid", "")): str(vm.get("name", "")) for vm in vms}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vm_names": vm_names}
