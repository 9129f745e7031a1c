# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the agent API alone: they write a result whatever the inventory says about its hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.reply import failure
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS

NOWHERE = "203.0.113.9"
# The group "all" includes localhost, where nobody can become that user.
INVENTORY = {
    "all": {
        "vars": {"ansible_become": True, "ansible_become_user": "nobody", "ansible_become_exe": "/bin/false"},
        "children": {"hypervisors": {"hosts": {"elsewhere": {"ansible_host": "192.0.2.1"}}}},
    }
}


@pytest.mark.parametrize(
    ("playbook", "error"),
    [
        ("start_vm_cmd", f"hostManagementIp {NOWHERE} is that of no hypervisor"),
        ("start_vm_cmd_ended", "the playbook ended without a result"),
    ],
)
def test_the_result_is_written_by_the_user_of_the_agent_api_also_where_all_hosts_are_to_be_worked_on_as_another_user(
    tmp_path: Path, playbook: str, error: str
) -> None:
    inventory, request, result = tmp_path / "hosts.json", tmp_path / "request", tmp_path / "result"
    inventory.write_text(json.dumps(INVENTORY), encoding="utf-8")
    request.write_text(json.dumps({"vms": [{"host_management_ip": NOWHERE}]}), encoding="utf-8")
    files = {"zstack_agent_api_request": str(request), "zstack_agent_api_result": str(result)}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), "-e", json.dumps(files)]
    env = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), **os.environ}
    done = subprocess.run([*command, f"zstack.kvm.{playbook}"], env=env, capture_output=True, text=True, check=False)
    assert result.exists(), done.stdout + done.stderr
    left = json.loads(result.read_text(encoding="utf-8"))
    assert error in left["error"]
    assert left == failure(left["error"])
    assert result.stat().st_mode & 0o777 == 0o600
