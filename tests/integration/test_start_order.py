# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs of one task that are started one after another, and batches that show progress."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.playbook import agreed
from ansible_collections.zstack.kvm.tests.support.start_vms import start_vms
from ansible_collections.zstack.kvm.tests.support.virsh import state, virsh


def number(vm: dict[str, Any]) -> int:
    """Return libvirt's ID of a running domain; the later it was started, the higher."""
    return int(virsh("domid", vm["uuid"]))


def codes(vms: Sequence[dict[str, Any]]) -> list[str]:
    """Return the error code of each VM."""
    return [vm.get("error", {}).get("code", "") for vm in vms]


def test_lower_numbers_are_begun_first(new_vm: NewVm) -> None:
    last, first, middle = (new_vm(start_order=number) for number in (30, 10, 20))
    run = agreed(last, first, middle, parallel=3)
    assert [vm["uuid"] for vm in run.vms] == [last["uuid"], first["uuid"], middle["uuid"]]
    assert number(first) < number(middle) < number(last)


def test_what_comes_after_a_failure_is_left_as_it_is(new_vm: NewVm) -> None:
    database, web, other = new_vm(start_order=1), new_vm(start_order=2), new_vm()
    occupy(database)
    run = agreed(web, other, database)
    assert codes(run.vms) == ["earlier_vm_failed", "", "uuid_taken"]
    assert database["uuid"] in run.vms[0]["error"]["message"]
    assert (state(web["uuid"]), state(other["uuid"])) == ("absent", "running")


def occupy(vm: dict[str, Any]) -> None:
    """Define a domain of another name with the UUID of a VM."""
    xml = f"<domain type='qemu'><name>occupied-{vm['uuid'][:8]}</name><uuid>{vm['uuid']}</uuid><memory>1024</memory>"
    virsh("define", "/dev/stdin", stdin=f"{xml}<os><type>hvm</type></os></domain>")


def test_each_batch_is_reported_when_it_is_done(new_vm: NewVm, tmp_path: Path) -> None:
    vms = [new_vm(name="a"), new_vm(name="b", console_password="Sesame5"), new_vm(name="c", start_order=1)]
    output = start_vms(tmp_path, *vms, zstack_batch=1)
    labels = re.findall(r"changed: \[localhost\] => \(item=(.*)\)", output)
    assert labels == ["1 of 3 VMs: c", "1 of 3 VMs: a", "1 of 3 VMs: b"]
    assert [state(vm["uuid"]) for vm in vms] == ["running"] * 3
    table = re.findall(r"localhost +([abc]) +running", output)
    assert sorted(table) == ["a", "b", "c"]
    assert "Sesame5" not in output


def test_a_batch_that_fails_does_not_keep_the_next_from_being_started(new_vm: NewVm, tmp_path: Path) -> None:
    wrong, right = new_vm(name="wrong", nics=[{"bridge_name": "br_nope"}]), new_vm(name="right")
    output = start_vms(tmp_path, wrong, right, zstack_batch=1)
    assert "failed: [localhost] (item=1 of 2 VMs: wrong)" in output
    assert (state(wrong["uuid"]), state(right["uuid"])) == ("absent", "running")


def test_what_is_wrong_with_a_later_batch_stops_all(new_vm: NewVm, tmp_path: Path) -> None:
    right, wrong = new_vm(), new_vm(memory="much")
    output = start_vms(tmp_path, right, wrong, zstack_batch=1)
    assert re.search(r'"localhost +- +failed +- +- +-"', output)
    assert re.search(r'"localhost: .*vms\[1\]\.memory', output)
    assert state(right["uuid"]) == "absent"
