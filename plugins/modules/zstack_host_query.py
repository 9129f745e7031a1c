#!/usr/bin/python
# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document the action plugin of this name, which has the code."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zstack_host_query
short_description: Query several hypervisors side by side for their active VMs
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Asks the hypervisors of a loop which VMs are active there, without waiting for one answer before the next query.
    Ansible processes the hosts of a play in parallel, but the items of a loop one after another.
  - Each item of the loop is delegated to a hypervisor and starts M(zstack.kvm.zstack_host_info) there. The last item
    has O(collect=true) and waits for all answers. A loop without it has no answers.
  - As many queries run at once as C(--forks) says. If that many run, the next item waits until one has ended.
  - The task's C(timeout) is the time that each query may take.
  - In a delegated task Ansible evaluates the variables of a host with the C(inventory_hostname) of another one. A
    hypervisor with a connection variable that is wrong for this reason, such as
    C(ansible_host={{ inventory_hostname }}.lan), is not queried.
  - C(playbooks/start_vms.yml) uses this for the hypervisors that C(--limit) excludes.
  - Changes nothing.
extends_documentation_fragment:
  - zstack.kvm.attributes.action_group
  - zstack.kvm.attributes.info_module
  - zstack.kvm.libvirt
options:
  collect:
    description:
      - Wait for the answers to all queries that the loop has started, and return them. Queries nothing itself, and so
        need not be delegated.
    type: bool
    default: false
seealso:
  - module: zstack.kvm.zstack_host_info
"""

EXAMPLES = r"""
- name: Query all hypervisors side by side
  zstack.kvm.zstack_host_query:
    collect: "{{ number == groups.hypervisors | length }}"
  delegate_to: "{{ item if number < groups.hypervisors | length else omit }}"
  loop: "{{ groups.hypervisors + [inventory_hostname] }}"
  loop_control:
    index_var: number
  run_once: true
  register: queried

- name: Show where a VM is active
  ansible.builtin.debug:
    msg: "{{ queried.results[-1].answers | selectattr('active', 'contains', uuid) | map(attribute='item') }}"
  vars:
    uuid: 36c27e8f-f05c-4780-bf6d-2fa65700f22e
  run_once: true
"""

RETURN = r"""
answers:
  description:
    - One entry for each hypervisor that the loop has queried. The item fails if not all have answered.
  type: list
  elements: dict
  returned: with O(collect=true)
  contains:
    item:
      description: The hypervisor's name in the inventory.
      type: str
      returned: always
      sample: hv1
    active:
      description: The UUIDs of the active VMs, with dashes. Paused VMs are active too.
      type: list
      elements: str
      returned: if the hypervisor has answered
      sample: [36c27e8f-f05c-4780-bf6d-2fa65700f22e]
    uuid:
      description: The UUID by which libvirt identifies the hypervisor.
      type: str
      returned: if the hypervisor has answered
      sample: 4c4c4544-0042-3510-8052-b4c04f4a4d32
    hostname:
      description: The hypervisor's own host name.
      type: str
      returned: if the hypervisor has answered
      sample: hv1
    msg:
      description: Why it has not answered.
      type: str
      returned: if the hypervisor has not answered
      sample: "Failed to connect to the host via ssh: No route to host"
"""
