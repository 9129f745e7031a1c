# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt as tests see it: through virsh, independent of the collection's code."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from lxml import etree


def virsh(*arguments: str, stdin: str = "") -> str:
    """Return the output of a command of virsh; raise AssertionError with its message if it fails."""
    done = try_virsh(*arguments, stdin=stdin)
    assert done.returncode == 0, f"virsh {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def try_virsh(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of virsh that may fail."""
    command = ["virsh", "--connect", "qemu:///system", "--quiet", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def state(domain: str) -> str:
    """Return the state of a domain in virsh's words, C(absent) where there is none."""
    done = try_virsh("domstate", domain)
    return done.stdout.strip() if done.returncode == 0 else "absent"


def definition(domain: str, inactive: bool = True) -> etree._Element:
    """Return the definition of a domain, secrets included."""
    return etree.fromstring(virsh("dumpxml", "--security-info", *(["--inactive"] if inactive else []), domain))


def qmp(domain: str, command: str, **arguments: Any) -> Any:
    """Return the answer of a running domain's QEMU to a command of its protocol."""
    request = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(virsh("qemu-monitor-command", domain, request))["return"]


def definition_of_secret(secret: str) -> etree._Element:
    """Return the definition of a secret."""
    return etree.fromstring(virsh("secret-dumpxml", secret))


def remove_domain(domain: str) -> None:
    """Force off a domain and remove its definition, whatever state it is in."""
    try_virsh("destroy", domain)
    try_virsh("undefine", domain, "--managed-save", "--snapshots-metadata", "--nvram")
