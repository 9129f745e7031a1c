# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that turns ZStack's StartVmCmd into an entry of the option vms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

DOCUMENTATION = r"""
name: from_start_vm_cmd
short_description: Convert a StartVmCmd of ZStack to a VM of zstack_vm_start
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Converts one StartVmCmd, the JSON document that ZStack's management node sends to the agent on a hypervisor,
    to one VM for the option O(zstack.kvm.zstack_vm_start#module:vms).
  - Documents of ZStack 2.3 (2018) and of today (ZSphere 1.0, ZStack Cloud 5) are read; one with C(bootMode),
    C(cdRoms) or C(machineType) is one of today.
  - Fields are renamed to options, the contents of C(addons) are moved to the options that they affect, and the
    defaults of the document's generation are filled in. The page B(The fields of a StartVmCmd) of the documentation
    lists all of them.
  - Fields that ZStack's agent ignores are left out. A field whose value matters and is not supported is an error that
    says what to do instead.
  - In a document of 2018, C(videoType) V(cirrus) is left out. ZStack sends it for every VM for which no video card was
    chosen; without it such a VM also starts on a hypervisor whose QEMU has no cirrus, and still gets cirrus if there is
    one.
  - The values are validated by the module, which reports every problem with the path of its option. If the document
    has problems that the filter finds, those of the values are reported with them.
positional: _input
options:
  _input:
    description:
      - The document, as a mapping or as JSON text.
    type: raw
    required: true
  unknown:
    description:
      - What to do with unknown fields, at any level. They have no effect on the VM.
      - V(error) fails and names all of them. V(warn) warns, V(ignore) ignores them silently.
    type: str
    choices: [error, warn, ignore]
    default: error
"""

EXAMPLES = r"""
- name: Start the VM of a StartVmCmd
  zstack.kvm.zstack_vm_start:
    vms:
      - "{{ lookup('ansible.builtin.file', 'start_vm_cmd.json') | zstack.kvm.from_start_vm_cmd }}"

- name: Start the VMs of several documents with fields of a plugin, and with an option that StartVmCmd lacks
  zstack.kvm.zstack_vm_start:
    vms: "{{ documents | map('zstack.kvm.from_start_vm_cmd', unknown='warn') | map('combine', {'autostart': true}) }}"
"""

RETURN = r"""
_value:
  description:
    - One VM, an element of the option O(zstack.kvm.zstack_vm_start#module:vms).
  type: dict
"""

UNKNOWN = ("error", "warn", "ignore")


def from_start_vm_cmd(document: Any, unknown: str = "error") -> dict[str, Any]:
    """Return the VM that a StartVmCmd describes; all that is wrong with the document in one error."""
    if unknown not in UNKNOWN:
        raise AnsibleFilterError("from_start_vm_cmd: unknown must be one of %s" % ", ".join(UNKNOWN))
    # Ansible loads all filters of the collection for any of them, in every process and uncompiled.
    from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError
    from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document

    try:
        vm, warnings = vm_of_document(document, unknown)
    except StartVmCmdError as error:
        raise AnsibleFilterError("from_start_vm_cmd: %s" % error) from None
    for warning in warnings:
        Display().warning("from_start_vm_cmd: %s" % warning)
    return vm


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"from_start_vm_cmd": from_start_vm_cmd}
