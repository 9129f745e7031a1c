# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task of a playbook starts a VM, which boots; the next run changes nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import connection as libvirt_connection
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import in_process, media, playbook
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, start
from ansible_collections.zstack.kvm.tests.support.processes import qemus_of
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state, virsh


def test_a_new_vm_boots_from_its_disk(new_vm: NewVm) -> None:
    vm = new_vm()
    run = playbook.agreed(vm)
    assert run.actions == ["define", "start"]
    wait_for_text(vm["uuid"], "I am " + vm["uuid"])


def test_its_result_says_what_runs_and_where_its_console_is(new_vm: NewVm) -> None:
    run = agreed(new_vm())
    entry = run.vm
    assert (entry["state"], entry["changed"], entry["restart_required"]) == ("running", True, False)
    with socket.create_connection((entry["console"]["host"], entry["console"]["port"]), timeout=60) as console:
        assert console.recv(3) == b"RFB"


def test_the_second_run_changes_nothing(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    run_number = virsh("domid", vm["uuid"])
    again = playbook.agreed(vm)
    assert (again.result["changed"], again.actions, again.vm["differences"]) == (False, [], [])
    assert virsh("domid", vm["uuid"]) == run_number


def test_a_vm_that_is_shut_off_is_started_and_not_defined_again(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    virsh("destroy", vm["uuid"])
    assert agreed(vm).actions == ["start"]
    assert state(vm["uuid"]) == "running"


def test_a_changed_document_redefines_a_vm_that_is_shut_off(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    virsh("destroy", vm["uuid"])
    run = agreed({**vm, "cpu_num": 2})
    assert run.actions == ["define", "start"]
    assert definition(vm["uuid"], inactive=False).findtext("vcpu") == "2"


def test_a_changed_document_waits_for_the_next_boot_of_a_vm_that_runs(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    run = agreed({**vm, "cpu_num": 2})
    assert (run.actions, run.vm["restart_required"]) == (["define"], True)
    assert definition(vm["uuid"], inactive=True).findtext("vcpu") == "2"
    assert definition(vm["uuid"], inactive=False).findtext("vcpu") == "1"
    again = agreed({**vm, "cpu_num": 2})
    assert (again.actions, again.vm["restart_required"]) == ([], True)


def test_a_qemu_that_hangs_is_an_error_of_its_vm_at_most_and_the_others_start(
    new_vm: NewVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt_connection, "ANSWER_SECONDS", 5)
    hanging, other = new_vm(), new_vm()
    assert not in_process.start(hanging).failed
    (qemu,) = qemus_of(hanging["uuid"])
    os.kill(qemu, signal.SIGSTOP)
    # Since libvirt 11, reading the definition waits for a call that QEMU does not answer.
    with subprocess.Popen(["virsh", "domblkinfo", hanging["uuid"], "vda"], stdout=subprocess.DEVNULL):
        try:
            hung, started = in_process.start(hanging, other).vms
        finally:
            os.kill(qemu, signal.SIGCONT)
    assert hung.get("error", {}).get("code") in (None, "qemu_hangs")
    assert (hung["actions"], started["actions"], started["state"]) == ([], ["define", "start"], "running")


def test_with_cd_and_channel_it_boots_from_the_cd(new_vm: NewVm, images: Path) -> None:
    disc = media.write_cd(images / "boot.iso", "I am the CD")
    socket_path = images / "channels" / "agent.sock"
    vm = new_vm(
        boot_iso=[{"path": str(disc)}],
        boot_dev=["cdrom", "hd"],
        channels=[{"socket_path": str(socket_path), "target_name": "org.qemu.guest_agent.0"}],
    )
    assert agreed(vm).actions == ["define", "create_channel_dir", "start"]
    wait_for_text(vm["uuid"], "I am the CD")
    assert socket_path.is_socket()
    assert socket_path.parent.stat().st_mode & 0o777 == 0o750


def test_several_vms_are_reported_in_the_order_given(new_vm: NewVm) -> None:
    vms = [new_vm() for _number in range(4)]
    run = agreed(*vms)
    assert [entry["uuid"] for entry in run.vms] == [vm["uuid"] for vm in vms]
    assert {state(vm["uuid"]) for vm in vms} == {"running"}


def test_one_vm_that_fails_does_not_stop_the_others(new_vm: NewVm, images: Path) -> None:
    broken = new_vm(root_volume={"install_path": str(images / "none.qcow2")})
    vms = [new_vm(), broken, new_vm()]
    run = playbook.failed(*vms)
    assert broken["name"] in run.result["msg"]
    assert [entry.get("error", {}).get("code") for entry in run.vms] == [None, "image_missing", None]
    assert [state(vm["uuid"]) for vm in vms] == ["running", "absent", "running"]
    assert len(run.result["diff"]) == 3


def test_autostart_is_set_in_sync_and_left_alone_otherwise(new_vm: NewVm) -> None:
    vm = new_vm()
    assert agreed({**vm, "autostart": True}).actions == ["define", "set_autostart", "start"]
    assert agreed({**vm, "autostart": True}).actions == []
    assert agreed(vm).actions == []
    assert "Autostart: enable" in " ".join(virsh("dominfo", vm["uuid"]).split())
    run = agreed({**vm, "autostart": False})
    assert run.actions == ["set_autostart"]
    assert run.vm["differences"] == [{"path": "autostart", "before": "true", "after": "false"}]


def test_a_backup_keeps_the_definition_before_it_is_replaced(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    run = agreed({**vm, "cpu_num": 2}, backup=True)
    assert run.actions == ["back_up_definition", "define"]
    kept = Path(run.vm["backup_file"])
    assert "<vcpu placement='static'>1</vcpu>" in kept.read_text(encoding="utf-8")
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.unlink()
