# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that finds the hypervisor with the management address of a StartVmCmd."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.uuid_digits import digits_of

DOCUMENTATION = r"""
name: hosts_of_address
short_description: Find the hosts that have a management address
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns the hosts to which the C(hostManagementIp) of a StartVmCmd may refer. C(playbooks/start_vm_cmd.yml) uses it.
  - If a host has the UUID, it is that host; another one with the address is returned too.
  - The address of a host is its variable C(zstack_host_management_ip); without that its C(ansible_host), and its name.
positional: _input
options:
  _input:
    description:
      - The variables of the hosts.
    type: list
    elements: dict
    required: true
  address:
    description:
      - The management address.
    type: str
    required: true
  uuid:
    description:
      - ZStack's UUID of the host, its variable C(zstack_host_uuid).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show which host has the address
  ansible.builtin.debug:
    msg: "{{ groups.hypervisors | map('extract', hostvars) | zstack.kvm.hosts_of_address('10.0.0.11') }}"
"""

RETURN = r"""
_value:
  description:
    - The names of the hosts.
  type: list
  elements: str
"""


def hosts_of_address(hosts: Sequence[Mapping[str, Any]], address: str, uuid: str = "") -> list[str]:
    """Return the names of the hosts that the address and the UUID name: one, unless they contradict each other."""
    by_address = [host["inventory_hostname"] for host in hosts if address in _addresses(host)]
    by_uuid = [
        host["inventory_hostname"]
        for host in hosts
        if uuid and digits_of(host.get("zstack_host_uuid")) == digits_of(uuid)
    ]
    return [name for name in by_uuid if name in by_address] or [*by_uuid, *by_address]


def _addresses(host: Mapping[str, Any]) -> tuple[Any, ...]:
    if "zstack_host_management_ip" in host:
        return (host["zstack_host_management_ip"],)
    return host.get("ansible_host"), host["inventory_hostname"]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hosts_of_address": hosts_of_address}
