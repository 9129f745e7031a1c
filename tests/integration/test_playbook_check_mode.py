# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode: documents of both generations of ZStack, on a host that lacks much of what they name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document
from ansible_collections.zstack.kvm.tests.support.deviations.today import STARTED
from ansible_collections.zstack.kvm.tests.support.in_process import start_parsed
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.playbook import TARGET_PYTHON
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES
from ansible_collections.zstack.kvm.tests.support.virsh import virsh

# From the hand-written ones, those for hosts like this one.
OLD = [case.document for case in ALL_CASES if case.name[0].isdigit() and case.arch == "x86_64"]
TODAYS = [case.document for case in STARTED if case.name[0] == "r" and case.arch == "x86_64"][:12]
DOCUMENTS = [*OLD, *TODAYS]


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Run the playbook once with all documents."""
    variables = {
        "ansible_python_interpreter": TARGET_PYTHON,
        "zstack_hosts": "localhost",
        "zstack_start_vm_cmds": OLD,
        # As they are pasted into AWX
        "zstack_secret_start_vm_cmds": "\n".join(json.dumps(dict(document), indent=2) for document in TODAYS),
        "zstack_vm_defaults": {"domain_type": "qemu"},
    }
    file = tmp_path_factory.mktemp("documents") / "variables.json"
    file.write_text(json.dumps(variables), encoding="utf-8")
    playbook = str(Path(sys.executable).parent / "ansible-playbook")
    command = [playbook, "-i", "localhost,", "-c", "local", "-e", f"@{file}", "--check", "playbooks/start_vms.yml"]
    return subprocess.run(command, cwd=CHECKOUT, env=dict(os.environ), capture_output=True, text=True, check=False)


def test_every_vm_would_be_started(predicted: subprocess.CompletedProcess[str]) -> None:
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
    rows = [line.strip(' ",') for line in predicted.stdout.splitlines() if line.strip().startswith('"localhost ')]
    assert len(rows) == len(DOCUMENTS)
    assert {tuple(row.split()[-4:]) for row in rows} == {("absent", "-", "yes", "no")}


def test_what_the_host_lacks_is_a_warning(predicted: subprocess.CompletedProcess[str]) -> None:
    assert "vms[0].root_volume.install_path: the file or block device /" in predicted.stdout + predicted.stderr


def test_each_recorded_vm_of_both_generations_would_be_started() -> None:
    vms = [
        parse_vms([{**vm_of_document(case.document, "error")[0], "domain_type": "qemu", "arch": case.arch}])[0][0]
        for case in [*ALL_CASES, *STARTED]
    ]
    run = start_parsed(vms, set(), check=True)
    assert [entry["error"]["message"] for entry in run.vms if "error" in entry] == []
    assert {(entry["actions"][0], entry["actions"][-1]) for entry in run.vms} == {("define", "start")}


def test_nothing_is_defined(predicted: subprocess.CompletedProcess[str]) -> None:
    described = {str(UUID(document["vmInstanceUuid"])) for document in DOCUMENTS}
    assert len(described) == len(DOCUMENTS)
    assert not described & set(virsh("list", "--all", "--uuid").split())
