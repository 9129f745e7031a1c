# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a laboratory."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from . import ssh
from .hypervisor import load_all


def path(laboratory: Path) -> Path:
    """Return the path to which `lab up` writes the inventory."""
    return laboratory / "inventory.yml"


def text(laboratory: Path) -> str:
    """Return the inventory: the group hypervisors, with all that Ansible needs to reach them."""
    lines = ["hypervisors:", "  hosts:"]
    lines += [
        f"    {hypervisor.name}:\n      ansible_host: {hypervisor.address}" for hypervisor in load_all(laboratory)
    ]
    if len(lines) == 2:
        lines[1] = "  hosts: {}"
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(ssh.access_key(laboratory)),
        "ansible_ssh_common_args": shlex.join(ssh.options(laboratory)),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    lines.append("  vars:")
    lines += [f"    {name}: {json.dumps(value)}" for name, value in variables.items()]
    return "\n".join(lines) + "\n"
