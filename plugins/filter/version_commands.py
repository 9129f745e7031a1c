# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that returns the commands which print the versions of a VM's emulator and firmware."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

DOCUMENTATION = r"""
name: version_commands
short_description: Return the commands which print the versions of a VM's emulator and firmware
version_added: 0.2.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns two commands to run on the VM's hypervisor. What they print is for P(zstack.kvm.agent_api_result#filter).
    C(playbooks/start_vm_cmd.yml) uses it.
positional: _input
options:
  _input:
    description:
      - The domain of the running VM, as libvirt describes it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Read the versions of the emulator and the firmware
  ansible.builtin.command:
    argv: "{{ item }}"
  loop: "{{ vm_domain.stdout | zstack.kvm.version_commands }}"
  changed_when: false
  failed_when: false
"""

RETURN = r"""
_value:
  description:
    - The program and the arguments of each command. The second one asks which package the firmware comes from.
    - A domain without an emulator or without a firmware has a command that fails.
  type: list
  elements: list
  sample:
    - [/usr/bin/qemu-system-x86_64, --version]
    - [rpm, -qf, /usr/share/edk2/ovmf/OVMF_CODE.fd]
"""


def version_commands(domain: str) -> list[list[str]]:
    """Return the commands of the emulator and of the firmware."""
    emulator = re.search(r"<emulator>(.+)</emulator>", domain)
    firmware = re.search(r"<loader[^>]*>(.+)</loader>", domain)
    return [
        [emulator.group(1) if emulator else "false", "--version"],
        ["rpm", "-qf", *([firmware.group(1)] if firmware else [])],
    ]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"version_commands": version_commands}
