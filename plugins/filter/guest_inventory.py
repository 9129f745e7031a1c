# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that creates an inventory of the guests of VMs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: guest_inventory
short_description: Create an inventory of the guests of VMs
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns an inventory with a host for each VM that has an address, in the group C(created_vms).
    C(playbooks/create_vms.yml) writes it to a file.
  - A guest on a libvirt network is reached through its hypervisor, unless Ansible runs there. Its SSH host key is
    known by the VM's UUID, whatever its address is, and is accepted at the first connection.
positional: _input, user
options:
  others:
    description:
      - Further hypervisors. Their guests stay in the inventory that was written before.
    type: list
    elements: str
    default: []
  written:
    description:
      - The text of the inventory that was written before.
    type: str
    default: ""
  _input:
    description:
      - The variables of the hypervisors. C(zstack_created) of each, the registered result of
        M(zstack.kvm.zstack_vm_info), and its C(ansible_*) variables are used.
    type: list
    elements: dict
    required: true
  user:
    description:
      - The user to log in as.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the inventory
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts | map('extract', hostvars) | zstack.kvm.guest_inventory('ansible') }}"
"""

RETURN = r"""
_value:
  description:
    - The inventory, as a mapping for a file in YAML or JSON.
  type: dict
"""

GROUP = "created_vms"


def guest_inventory(
    hypervisors: Sequence[Mapping[str, Any]], user: str, others: Sequence[str] = (), written: str = ""
) -> dict[str, Any]:
    """Return an inventory of the VMs that have an address, and of those that others had when one was written before."""
    hosts = {name: host for name, host in _hosts_of_text(written).items() if host.get("zstack_vm_hypervisor") in others}
    for hypervisor in hypervisors:
        for vm in hypervisor.get("zstack_created", {}).get("vms") or ():
            if vm.get("address"):
                hosts[str(vm["name"])] = _host(vm, hypervisor, user)
    return {GROUP: {"hosts": dict(sorted(hosts.items()))}}


def _hosts_of_text(text: str) -> dict[str, Any]:
    try:
        hosts = (yaml.safe_load(text) or {})[GROUP]["hosts"] if text.strip() else {}
        return {str(name): dict(host) for name, host in hosts.items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        message = "zstack_inventory: the file exists, and is no inventory of create_vms; remove it, or name another one"
        raise AnsibleFilterError(message) from error


def _host(vm: Mapping[str, Any], hypervisor: Mapping[str, Any], user: str) -> dict[str, str]:
    arguments = ["-o", "HostKeyAlias=%s" % vm["uuid"], "-o", "StrictHostKeyChecking=accept-new"]
    is_here = hypervisor.get("ansible_connection") in ("local", "ansible.builtin.local")
    if not is_here and any(nic.get("type") == "network" for nic in vm.get("nics") or ()):
        arguments += ["-o", "ProxyCommand=%s" % _proxy_command(hypervisor)]
    return {
        "ansible_host": str(vm["address"]),
        "ansible_user": user,
        "ansible_ssh_common_args": shlex.join(arguments),
        "zstack_vm_uuid": str(vm["uuid"]),
        "zstack_vm_hypervisor": str(hypervisor["inventory_hostname"]),
    }


def _proxy_command(hypervisor: Mapping[str, Any]) -> str:
    """Return the command that connects to a guest through its hypervisor, which ssh gives to a shell."""
    command = ["ssh", "-W", "%h:%p", "-q"]
    for option, name in (("-l", "ansible_user"), ("-p", "ansible_port"), ("-i", "ansible_ssh_private_key_file")):
        if hypervisor.get(name):
            command += [option, str(hypervisor[name])]
    command += shlex.split(str(hypervisor.get("ansible_ssh_common_args") or ""))
    command.append(str(hypervisor.get("ansible_host") or hypervisor["inventory_hostname"]))
    # ssh itself replaces what begins with % in the whole command.
    return " ".join(word if word == "%h:%p" else shlex.quote(word.replace("%", "%%")) for word in command)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"guest_inventory": guest_inventory}
