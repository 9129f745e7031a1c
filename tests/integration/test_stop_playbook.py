# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/stop_vms.yml, with its variables as text, as surveys and -e pass them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.module_run import start
from ansible_collections.zstack.kvm.tests.support.obedient_guest import write_obedient_disk
from ansible_collections.zstack.kvm.tests.support.playbook import TARGET_PYTHON
from ansible_collections.zstack.kvm.tests.support.virsh import state


def play(*arguments: str, **variables: Any) -> tuple[int, str]:
    """Return the number of tasks that changed something, and the output."""
    all_variables = {"ansible_python_interpreter": TARGET_PYTHON, "zstack_hosts": "localhost", **variables}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local"]
    done = subprocess.run(
        [*command, "-e", json.dumps(all_variables), *arguments, "playbooks/stop_vms.yml"],
        cwd=CHECKOUT, env=dict(os.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.rpartition("changed=")[2].split()[0]), done.stdout


def pair(new_vm: NewVm, images: Path) -> list[dict[str, Any]]:
    """Return two running VMs; the first shuts down on request, the second doesn't."""
    disk = write_obedient_disk(images / "obedient.raw")
    vms = [new_vm(root_volume={"install_path": str(disk), "format": "raw"}), new_vm()]
    assert not start(*vms).failed
    return vms


def test_all_described_vms_are_stopped_and_check_mode_says_so(new_vm: NewVm, images: Path) -> None:
    obedient, deaf = pair(new_vm, images)
    # VMs are described as for start_vms.yml, by ZStack's documents too.
    document = {
        "vmInstanceUuid": deaf["uuid"].replace("-", ""), "vmName": deaf["name"], "memory": 33554432, "cpuNum": 1,
        "rootVolume": {"installPath": deaf["root_volume"]["install_path"], "deviceId": 0, "deviceType": "file"},
    }  # fmt: skip
    variables = {
        "zstack_vms": json.dumps([obedient]), "zstack_start_vm_cmds": json.dumps(document),
        "zstack_timeout": "3", "zstack_force": "true",
    }  # fmt: skip
    changed, _output = play("--check", **variables)
    assert changed == 1 and {state(vm["uuid"]) for vm in (obedient, deaf)} == {"running"}
    changed, _output = play(**variables)
    assert changed == 1 and {state(vm["uuid"]) for vm in (obedient, deaf)} == {"shut off"}


def test_named_vms_alone_are_stopped_and_a_second_run_has_nothing_to_do(new_vm: NewVm, images: Path) -> None:
    obedient, deaf = pair(new_vm, images)
    absent = "8f000000-0000-4000-8000-000000000001"
    variables = {
        "zstack_stop": f"{obedient['uuid'].replace('-', '')}, {absent}", "zstack_undefine": "true",
        "zstack_vms": json.dumps([deaf]),
    }  # fmt: skip
    changed, _output = play(**variables)
    assert changed == 1
    assert (state(obedient["uuid"]), state(deaf["uuid"])) == ("absent", "running")
    assert Path(obedient["root_volume"]["install_path"]).exists()
    changed, _output = play(**variables)
    assert changed == 0


def test_an_empty_selection_stops_nothing_and_a_blank_one_is_none(new_vm: NewVm) -> None:
    described = {"zstack_vms": json.dumps([new_vm()])}
    empty: list[Any] = [[], " ,; ", None, " \n"]
    skipped = ["skipped=1" in play(zstack_stop=selection, **described)[1] for selection in empty]
    assert skipped == [True, True, False, False]


def test_without_vms_there_is_nothing_to_do() -> None:
    changed, output = play()
    assert changed == 0 and "skipped=1" in output
