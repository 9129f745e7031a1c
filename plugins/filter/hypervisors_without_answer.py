# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that leaves out a hypervisor that was asked already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.zstack.kvm.plugins.plugin_utils.own_answer import left_to_ask

DOCUMENTATION = r"""
name: hypervisors_without_answer
short_description: Leave out a hypervisor that was asked already
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns the hypervisors that a host has yet to query for running VMs. If its own VMs were checked
    (M(zstack.kvm.zstack_vm_start) in check mode), its own answer is part of that result.
    C(playbooks/start_vms.yml) uses it.
positional: _input, host, checked
options:
  _input:
    description:
      - The hypervisors that the host queries, one of the values of C(asked_by) of
        P(zstack.kvm.hypervisors_to_ask#filter).
    type: list
    elements: str
    required: true
  host:
    description:
      - The name of the host.
    type: str
    required: true
  checked:
    description:
      - The registered result of M(zstack.kvm.zstack_vm_start) in check mode.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask the other hypervisors which VMs they run
  zstack.kvm.zstack_host_info:
  delegate_to: "{{ item }}"
  loop: "{{ ['hv1', 'hv4'] | zstack.kvm.hypervisors_without_answer('hv1', vms_checked) }}"
"""

RETURN = r"""
_value:
  description:
    - The hypervisors. The host itself is left out if it has answered or was unreachable.
  type: list
  elements: str
"""


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hypervisors_without_answer": left_to_ask}
