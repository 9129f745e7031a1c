# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/start_vms.yml checks all VMs once, and runs a second module only where something is left to do."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.playbook import start
from ansible_collections.zstack.kvm.tests.support.start_vms import start_vms
from ansible_collections.zstack.kvm.tests.support.virsh import state, virsh

STARTS = re.compile(r"^(\w+): \[localhost\](?: =>)? \(item=(.*?)\)", re.MULTILINE)
TABLE = re.compile(r'"localhost +(\w+) +(\w+) +vnc://127\.0\.0\.1:59\d\d +(yes|no) +(yes|no)"')
RECAP = re.compile(r"ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)")


def test_a_second_run_skips_the_start_and_shows_the_vms_as_they_were_checked(new_vm: NewVm, tmp_path: Path) -> None:
    vm = new_vm(name="web")
    first = start_vms(tmp_path, vm)
    assert (STARTS.findall(first), TABLE.findall(first)) == ([("changed", "web")], [("web", "running", "yes", "no")])
    second = start_vms(tmp_path, vm)
    assert STARTS.findall(second) == [("skipping", "web")]
    assert TABLE.findall(second) == [("web", "running", "no", "no")]
    assert RECAP.findall(second) == [("0", "0", "0")]


def test_only_the_batch_with_a_vm_that_is_not_in_sync_is_started(new_vm: NewVm, tmp_path: Path) -> None:
    web, mail = new_vm(name="web"), new_vm(name="mail")
    start_vms(tmp_path, web, mail)
    virsh("destroy", mail["uuid"])
    output = start_vms(tmp_path, web, mail, zstack_batch=1)
    assert STARTS.findall(output) == [("skipping", "1 of 2 VMs: web"), ("changed", "1 of 2 VMs: mail")]
    assert TABLE.findall(output) == [("web", "running", "no", "no"), ("mail", "running", "yes", "no")]
    assert state(mail["uuid"]) == "running"


def test_a_vm_that_awaits_a_restart_is_in_sync_and_still_shown_as_such(new_vm: NewVm, tmp_path: Path) -> None:
    vm = new_vm(name="web")
    start_vms(tmp_path, vm)
    changed = {**vm, "memory": "48MiB"}
    assert TABLE.findall(start_vms(tmp_path, changed)) == [("web", "running", "yes", "yes")]
    again = start_vms(tmp_path, changed)
    assert STARTS.findall(again) == [("skipping", "web")]
    assert TABLE.findall(again) == [("web", "running", "no", "yes")]


def test_what_the_check_finds_wrong_is_an_error_of_the_start_alone(new_vm: NewVm, tmp_path: Path) -> None:
    output = start_vms(tmp_path, new_vm(name="wrong", nics=[{"bridge_name": "br_nope"}]), new_vm(name="right"))
    assert STARTS.findall(output) == [("failed", "wrong, right")]
    assert '"localhost, wrong: vms[0].nics[0].bridge_name: ' in output
    assert RECAP.findall(output) == [("0", "0", "1")]


def test_check_mode_returns_of_a_vm_in_sync_what_the_task_returns(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    predicted, done = start(vm, check=True), start(vm)
    assert predicted.vms == done.vms
    assert vm["uuid"] in predicted.result["hypervisor"]["active"]
    assert "hypervisor" not in done.result
