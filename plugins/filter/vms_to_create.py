# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that describes VMs which are created from an image, by their names."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.module_utils._spec.option_values import kind_of

DOCUMENTATION = r"""
name: vms_to_create
short_description: Describe VMs that are created from an image, by their names
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns VMs for the option O(zstack.kvm.zstack_vm_start#module:vms), one for each name, from the variables of
    C(playbooks/create_vms.yml). The UUID of a VM is derived from its name, and its MAC address from the UUID, so that
    every run describes the same VMs.
  - All problems are in one error, with the names of the variables, and without their values.
positional: _input
options:
  _input:
    description:
      - The variables, by name. An empty one counts as omitted.
    type: dict
    required: true
    suboptions:
      zstack_names:
        description: The names, as a list, or as text with commas or spaces between them. Without any there is no VM.
        type: raw
      zstack_image:
        description: The path of the image on the hypervisor.
        type: str
      zstack_ssh_keys:
        description: Public SSH keys, one on each line.
        type: str
      zstack_user:
        description: The user who logs in with these keys, and may become root.
        type: str
        default: ansible
      zstack_network:
        description: The libvirt network that the VMs are connected to.
        type: str
      zstack_bridge:
        description: The bridge that they are connected to instead.
        type: str
      zstack_disk_size:
        description: The size of the disk.
        type: str
        default: 10GiB
      zstack_linked:
        description: Whether the disk is a linked clone of the image.
        type: bool
        default: false
      zstack_volumes_directory:
        description: The directory of the disks.
        type: str
        default: /var/lib/libvirt/images
      zstack_memory:
        description: The memory.
        type: str
        default: 1GiB
      zstack_cpu_num:
        description: The number of CPUs.
        type: int
        default: 1
      zstack_user_data:
        description: Further user data for cloud-init, which takes precedence over what this filter writes.
        type: dict
"""

EXAMPLES = r"""
- name: Start two VMs from an image
  zstack.kvm.zstack_vm_start:
    vms: "{{ variables | zstack.kvm.vms_to_create }}"
  vars:
    variables:
      zstack_names: [web-1, web-2]
      zstack_image: /var/lib/libvirt/images/debian-12.qcow2
      zstack_ssh_keys: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
      zstack_network: guests
"""

RETURN = r"""
_value:
  description:
    - The VMs, in the order of the names.
  type: list
  elements: dict
"""

# Never changes: a VM is found again by the UUID that its name gives in it.
_NAMESPACE = uuid.UUID("5f1c6f5e-3c55-4a53-9e0e-6a1d6a4cf9a7")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PUBLIC_KEY = re.compile(r"(sk-)?(ssh|ecdsa)-\S+ [A-Za-z0-9+/=]+( .*)?")
_CHANNELS = "/var/lib/libvirt/qemu/zstack"
_DEFAULTS = {
    "zstack_user": "ansible",
    "zstack_disk_size": "10GiB",
    "zstack_linked": False,
    "zstack_volumes_directory": "/var/lib/libvirt/images",
    "zstack_memory": "1GiB",
    "zstack_cpu_num": 1,
    "zstack_user_data": {},
}


def vms_to_create(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the VMs that the variables describe; all that is wrong with them in one error."""
    given = {**_DEFAULTS, **{name: value for name, value in variables.items() if value not in (None, "")}}
    names, keys = _words(given.get("zstack_names")), _lines(given.get("zstack_ssh_keys"))
    problems = [*_problems_of_names(names), *_problems_of_keys(keys), *_other_problems(given)]
    if problems and names:
        raise AnsibleFilterError("; ".join(problems))
    return [_vm(name, keys, given) for name in names]


def _words(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return list(value) if isinstance(value, Sequence) else []


def _lines(value: Any) -> list[str]:
    lines = value.splitlines() if isinstance(value, str) else []
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _problems_of_names(names: Sequence[Any]) -> Iterator[str]:
    for index, name in enumerate(names):
        if not isinstance(name, str) or not _HOST_NAME.fullmatch(name):
            yield "zstack_names[%d]: must be a host name of lower-case letters, digits and hyphens" % index
        elif name in names[:index]:
            yield "zstack_names[%d]: %s is in the list twice" % (index, name)


def _problems_of_keys(keys: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the keys, never the keys: a private one may be among them."""
    if not keys:
        yield "zstack_ssh_key: gives no key; give the text or the file of a public SSH key"
    wrong = [index for index, key in enumerate(keys) if not _PUBLIC_KEY.fullmatch(key)]
    if wrong:
        yield "zstack_ssh_key: line %d is no public SSH key; give the text or the file that ends in .pub" % (
            wrong[0] + 1
        )


def _other_problems(given: Mapping[str, Any]) -> Iterator[str]:
    if not given.get("zstack_image"):
        yield "zstack_image: is missing; give the path of an image on the hypervisor, or what the role images takes"
    if bool(given.get("zstack_network")) == bool(given.get("zstack_bridge")):
        yield "zstack_network, zstack_bridge: give one of them"
    if not _USER.fullmatch(str(given["zstack_user"])):
        yield "zstack_user: must be a user name of lower-case letters, digits, hyphens and underscores"
    if not isinstance(given["zstack_user_data"], Mapping):
        yield "zstack_user_data: must be a mapping, but is %s" % kind_of(given["zstack_user_data"])


def _vm(name: str, keys: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    identity = str(uuid.uuid5(_NAMESPACE, name))
    user = {
        "name": given["zstack_user"],
        "ssh_authorized_keys": list(keys),
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
    }
    nic = (
        {"network_name": given["zstack_network"]}
        if given.get("zstack_network")
        else {"bridge_name": given["zstack_bridge"]}
    )
    return {
        "uuid": identity,
        "name": name,
        "memory": given["zstack_memory"],
        "cpu_num": given["zstack_cpu_num"],
        "root_volume": {
            "install_path": "%s/%s.qcow2" % (given["zstack_volumes_directory"], identity),
            "create": {
                "image": given["zstack_image"],
                "size": given["zstack_disk_size"],
                "linked": given["zstack_linked"],
            },
        },
        "nics": [nic],
        "channels": [{"socket_path": "%s/%s.agent" % (_CHANNELS, identity), "target_name": "org.qemu.guest_agent.0"}],
        "cloud_init": {"user_data": {"users": [user], **given["zstack_user_data"]}},
        "wait_for": "address",
        "timeout": 600,
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vms_to_create": vms_to_create}
