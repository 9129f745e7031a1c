# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that finds the hypervisors of a play that have yet to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.zstack.kvm.plugins.plugin_utils.answers import own_answer

DOCUMENTATION = r"""
name: hypervisors_without_answer
short_description: Find the hypervisors of a play that have yet to answer
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns the hypervisors of a play that are yet to be queried for their active VMs. If the VMs of one were checked
    (M(zstack.kvm.zstack_vm_start) in check mode), its answer is part of that result.
  - C(playbooks/start_vms.yml) uses it as the hosts of a play, because a task that is skipped takes time for every host.
positional: _input, hostvars
options:
  _input:
    description:
      - The names of the hosts.
    type: list
    elements: str
    required: true
  hostvars:
    description:
      - The variables of all hosts by name, as Ansible's variable C(hostvars). C(zstack_placement), as returned by
        P(zstack.kvm.hypervisors_to_ask#filter), and C(zstack_vms_checked), the registered result of
        M(zstack.kvm.zstack_vm_start) in check mode, are used.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Query the hypervisors that have not answered
  hosts: "{{ groups.hypervisors | zstack.kvm.hypervisors_without_answer(hostvars | default({})) }}"
"""

RETURN = r"""
_value:
  description:
    - The names of the hypervisors. One that was unreachable is left out.
  type: list
  elements: str
"""


def hypervisors_without_answer(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return those of the hosts that are hypervisors of a play and have not answered."""
    # Not all of hostvars, which does not name an implicit localhost
    return [name for name in hosts if name in hostvars and _is_without_answer(name, hostvars[name])]


def _is_without_answer(host: str, variables: Mapping[str, Any]) -> bool:
    placement = variables.get("zstack_placement") or {"hypervisors": (), "others": ()}
    asks_itself = host in placement["hypervisors"] and host not in placement["others"]
    return asks_itself and own_answer(host, variables) is None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hypervisors_without_answer": hypervisors_without_answer}
