# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that finds the hosts that have yet to query hypervisors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.zstack.kvm.plugins.plugin_utils.own_answer import left_to_ask

DOCUMENTATION = r"""
name: hosts_that_ask
short_description: Find the hosts that have yet to query hypervisors
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns the hosts for which P(zstack.kvm.hypervisors_without_answer#filter) returns hypervisors.
    C(playbooks/start_vms.yml) uses it as the hosts of a play, because a task that is skipped takes time for every host.
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
- name: Ask the other hypervisors
  hosts: "{{ groups.hypervisors | zstack.kvm.hosts_that_ask(hostvars | default({})) }}"
"""

RETURN = r"""
_value:
  description:
    - The names of the hosts.
  type: list
  elements: str
"""


def hosts_that_ask(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return those of the hosts that have hypervisors left to query."""
    # Not all of hostvars, which does not name an implicit localhost
    return [name for name in hosts if name in hostvars and _asks(name, hostvars[name])]


def _asks(host: str, variables: Mapping[str, Any]) -> bool:
    asked_by = variables.get("zstack_placement", {}).get("asked_by", {})
    return bool(left_to_ask(asked_by.get(host, ()), host, variables.get("zstack_vms_checked")))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hosts_that_ask": hosts_that_ask}
