# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks/start_vms.yml for VMs on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS, TARGET_PYTHON


def start_vms(directory: Path, *vms: dict[str, Any], **variables: Any) -> str:
    """Return the output of the playbook, which may have failed; C(variables) are extra variables."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON, "zstack_vms": vms}
    inventory = directory / "inventory.json"
    inventory.write_text(json.dumps({"hypervisors": {"hosts": {"localhost": host}}}), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)]
    command += ["-e", json.dumps(variables), str(CHECKOUT / "playbooks" / "start_vms.yml")]
    settings = {"ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS))}
    environment = {**os.environ, **settings, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr
