# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A start of a VM in every possible state; it never destroys a VM that runs or is paused."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import forked_task
from ansible_collections.zstack.kvm.tests.support.failing_start import UNKNOWN_TO_QEMU
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.obedient_guest import wait_until_up, write_obedient_disk
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, state, try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# Boot sectors: what they do, then halt.
ENTER_S3 = b"\xba\x04\x06\xb8\x00\x24\xef"  # mov dx, 0x604 (PM1a control); mov ax, 0x2400 (S3); out dx, ax
POWER_OFF = b"\xba\x04\x06\xb8\x00\x20\xef"  # the same with 0x2000 (S5)
PANIC = b"\xba\x05\x05\xb0\x01\xee"  # mov dx, 0x505 (pvpanic); mov al, 1; out dx, al
# es:bx = 0:0x7c00; ax = 0x0301 (write a sector); cx = 0x0101 (the first of cylinder 1); dx = 0x80; int 0x13
WRITE = b"\x31\xc0\x8e\xc0\xbb\x00\x7c\xb8\x01\x03\xb9\x01\x01\xba\x80\x00\xcd\x13"
HALT = b"\xfa\xf4\xeb\xfd"


def disk_that_runs(path: Path, code: bytes) -> dict[str, Any]:
    """Return a root volume with this code as its boot sector."""
    path.write_bytes((code + HALT).ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return {"install_path": str(path), "format": "raw"}


def obedient_disk(images: Path) -> dict[str, Any]:
    """Return a root volume whose guest shuts down on request."""
    return {"install_path": str(write_obedient_disk(images / "obedient.raw")), "format": "raw"}


class TestPaused:
    def test_by_somebody_it_is_resumed(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("suspend", vm["uuid"])
        number = virsh("domid", vm["uuid"])
        assert agreed(vm).actions == ["resume"]
        assert (state(vm["uuid"]), virsh("domid", vm["uuid"])) == ("running", number)

    def test_and_not_in_sync_it_is_resumed_and_changes_at_its_next_boot(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("suspend", vm["uuid"])
        run = agreed({**vm, "cpu_num": 2})
        assert (run.actions, run.vm["restart_required"], run.vm["state"]) == (["define", "resume"], True, "running")

    def test_and_not_in_sync_with_restart_it_is_restarted(self, new_vm: NewVm, images: Path) -> None:
        vm = new_vm(root_volume=obedient_disk(images))
        assert not start(vm).failed
        wait_until_up(vm["uuid"])
        virsh("suspend", vm["uuid"])
        run = agreed({**vm, "cpu_num": 2}, on_drift="restart")
        assert run.actions == ["define", "stop", "start"]
        assert definition(vm["uuid"], inactive=False).findtext("vcpu") == "2"

    @pytest.mark.parametrize("policy", ["fail", "ignore"])
    def test_in_sync_it_is_resumed_with_every_on_drift(self, new_vm: NewVm, policy: str) -> None:
        vm = new_vm()
        start(vm)
        virsh("suspend", vm["uuid"])
        assert agreed(vm, on_drift=policy).actions == ["resume"]


def test_paused_because_its_disk_is_full_it_is_an_error_until_there_is_room(new_vm: NewVm, images: Path) -> None:
    disk, rest = images / "full" / "root.qcow2", images / "full" / "rest"
    raw = disk_that_runs(images / "writes.raw", WRITE)["install_path"]
    disk.parent.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "tmpfs", disk.parent], check=True)
    try:
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
        disk.chmod(0o666)
        subprocess.run(["dd", "if=/dev/zero", f"of={rest}", "bs=4k"], check=False, capture_output=True)
        # A file system in memory does not support direct I/O.
        vm = new_vm(root_volume={"install_path": str(disk), "cache_mode": "writeback"}, wait_for="running")
        start(vm)
        wait_until(lambda: state(vm["uuid"]) == "paused")
        run = failed(vm)
        assert (run.error["code"], run.vm["state"]) == ("paused_again", "paused"), run.output
        rest.unlink()
        assert agreed(vm).actions == ["resume"]
        assert state(vm["uuid"]) == "running"
    finally:
        remove_domain(vm["uuid"])
        subprocess.run(["umount", disk.parent], check=True)


class TestSuspendedToDisk:
    def test_it_comes_back_as_it_was_saved(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("managedsave", vm["uuid"])
        run = agreed(vm)
        assert (run.actions, run.vm["restart_required"]) == (["start"], False)
        assert virsh("domstate", "--reason", vm["uuid"]) == "running (restored)"

    @pytest.mark.parametrize("how", ["suspended before", "--paused"])
    def test_saved_while_it_was_paused_it_comes_back_and_runs(self, new_vm: NewVm, how: str) -> None:
        vm = new_vm()
        start(vm)
        if how == "--paused":
            virsh("managedsave", vm["uuid"], how)
        else:
            virsh("suspend", vm["uuid"])
            virsh("managedsave", vm["uuid"])
        run = agreed(vm)
        assert (run.actions, run.vm["state"], state(vm["uuid"])) == (["start"], "running", "running")

    def test_and_not_in_sync_it_comes_back_and_changes_at_its_next_boot(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("managedsave", vm["uuid"])
        run = agreed({**vm, "cpu_num": 2})
        assert (run.actions, run.vm["restart_required"]) == (["define", "start"], True)
        assert "suspended to disk" in run.vm["warnings"][0]
        assert definition(vm["uuid"], inactive=True).findtext("vcpu") == "2"
        assert virsh("domstate", "--reason", vm["uuid"]) == "running (restored)"


class TestSavedMemoryThatIsDiscarded:
    def test_the_vm_boots_as_it_is_defined(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("managedsave", vm["uuid"])
        run = agreed({**vm, "cpu_num": 2}, saved_state="discard")
        assert run.actions == ["define", "discard_saved_state", "start"]
        assert (run.vm["restart_required"], run.vm["warnings"]) == (False, [])
        assert virsh("domstate", "--reason", vm["uuid"]) == "running (booted)"
        assert definition(vm["uuid"], inactive=False).findtext("vcpu") == "2"

    def test_a_vm_without_any_just_starts(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        assert agreed(vm, saved_state="discard").actions == []
        virsh("destroy", vm["uuid"])
        assert agreed(vm, saved_state="discard").actions == ["start"]

    def test_a_start_that_fails_says_that_the_memory_is_gone(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("managedsave", vm["uuid"])
        run = start({**vm, "domain_patches": [UNKNOWN_TO_QEMU]}, saved_state="discard")
        assert (run.error["rollback"], run.actions) == ("partial", ["define", "discard_saved_state"])
        assert "the saved memory of the VM has been discarded" in run.error["message"]

    def test_memory_that_cannot_be_restored_is_an_error_that_names_this_way_out(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("managedsave", vm["uuid"])
        saved = Path("/var/lib/libvirt/qemu/save", str(definition(vm["uuid"]).findtext("name")) + ".save")
        with saved.open("r+b") as file:
            file.truncate(saved.stat().st_size // 2)
        run = failed(vm)
        assert run.error["code"] == "saved_state_failed", run.output
        assert "saved_state: discard" in run.error["hint"]
        assert saved.exists()
        assert agreed(vm, saved_state="discard").actions == ["discard_saved_state", "start"]


def test_suspended_to_memory_it_is_woken_up(new_vm: NewVm, images: Path) -> None:
    vm = new_vm(root_volume=disk_that_runs(images / "s3.raw", ENTER_S3))
    start(vm)
    wait_until(lambda: state(vm["uuid"]) == "pmsuspended")
    assert agreed(vm).actions == ["wake_up"]


def test_transient_it_becomes_persistent_and_runs_on(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    xml = virsh("dumpxml", vm["uuid"], "--inactive")
    remove_domain(vm["uuid"])
    virsh("create", "/dev/stdin", stdin=xml)
    number = virsh("domid", vm["uuid"])
    run = agreed(vm)
    assert run.actions == ["define"]
    assert run.vm["differences"] == [{"path": "persistent", "before": "false", "after": "true"}]
    assert virsh("domid", vm["uuid"]) == number
    assert "Persistent: yes" in " ".join(virsh("dominfo", vm["uuid"]).split())


class TestCrashed:
    @pytest.fixture
    def crashed(self, new_vm: NewVm, images: Path) -> dict[str, Any]:
        """Return a VM whose guest has panicked and whose definition preserves it in that state."""
        vm = new_vm(
            root_volume=disk_that_runs(images / "panic.raw", PANIC),
            domain_patches=[
                {"action": "set", "xpath": "/domain/on_crash", "value": "preserve"},
                {"action": "add", "xpath": "/domain/devices", "value": "<panic model='isa'/>"},
            ],
        )
        start(vm)
        wait_until(lambda: state(vm["uuid"]) == "crashed")
        return vm

    def test_it_is_an_error_and_the_memory_is_kept(self, crashed: dict[str, Any]) -> None:
        run = agreed(crashed)
        assert run.error["code"] == "vm_crashed"
        assert state(crashed["uuid"]) == "crashed"

    def test_with_restart_it_is_restarted(self, crashed: dict[str, Any]) -> None:
        number = virsh("domid", crashed["uuid"])
        assert agreed(crashed, on_drift="restart").actions == ["stop", "start"]
        assert virsh("domid", crashed["uuid"]) != number


def test_in_shutdown_it_is_started_as_soon_as_it_is_off(new_vm: NewVm, images: Path, tmp_path: Path) -> None:
    slow, may_end, calls = images / "slow-to-end", images / "may-end", tmp_path / "calls"
    slow.write_text(
        # libvirt kills a QEMU that has not ended 10 seconds after the request.
        "#!/bin/bash\n"
        f'trap "until test -e {may_end}; do sleep 0.1; done; kill -TERM \\$child" TERM\n'
        '/usr/bin/qemu-system-x86_64 "$@" & child=$!\n'
        "wait $child; wait $child\n"
    )
    slow.chmod(0o755)
    vm = new_vm(root_volume=disk_that_runs(images / "off.raw", POWER_OFF), emulator=str(slow))
    start(vm)
    number = virsh("domid", vm["uuid"])
    wait_until(lambda: state(vm["uuid"]) == "in shutdown")
    disk_that_runs(images / "off.raw", HALT)
    predicted = start(vm, check=True)
    calls.touch()
    task = forked_task.begin(vm, calls=calls)
    wait_until(lambda: calls.read_text().count("get the state") > 1, "the task waits for it")
    may_end.touch()
    run = task.finished()
    assert run.actions == predicted.actions == ["wait_until_off", "start"], run.output
    assert try_virsh("domid", vm["uuid"]).stdout.strip() != number


def begin_backup(vm: dict[str, Any]) -> None:
    """Begin a backup job, which lasts until it is aborted because no client fetches the data."""
    server = "<server transport='tcp' name='127.0.0.1' port='10999'/>"
    xml = f"<domainbackup mode='pull'>{server}</domainbackup>"
    virsh("backup-begin", "--backupxml", "/dev/stdin", vm["uuid"], stdin=xml)


def test_while_a_job_is_done_on_it_what_changes_nothing_is_no_error(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    begin_backup(vm)
    assert agreed(vm).actions == []
    virsh("domjobabort", vm["uuid"])


def test_while_a_job_is_done_on_it_a_change_is_refused(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    begin_backup(vm)
    run = agreed({**vm, "cpu_num": 2})
    assert run.error["code"] == "vm_busy"
    assert definition(vm["uuid"]).findtext("vcpu") == "1"
    virsh("domjobabort", vm["uuid"])


class TestNameAndUuid:
    def test_a_name_that_another_domain_has_is_an_error_that_names_it(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        stranger = str(uuid.uuid4())
        xml = definition(vm["uuid"])
        remove_domain(vm["uuid"])
        virsh(
            "define",
            "/dev/stdin",
            stdin=f"<domain type='qemu'><name>{xml.findtext('name')}</name><uuid>{stranger}</uuid>"
            "<memory>1024</memory><os><type>hvm</type></os></domain>",
        )
        run = agreed(vm)
        assert run.error["code"] == "name_taken"
        assert stranger in run.error["message"]
        assert virsh("list", "--all", "--uuid").split().count(stranger) == 1
        remove_domain(stranger)

    def test_a_uuid_under_another_name_is_an_error_that_names_it(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("destroy", vm["uuid"])
        virsh("domrename", vm["uuid"], "by-hand")
        run = agreed(vm)
        assert run.error["code"] == "uuid_taken"
        assert "by-hand" in run.error["message"]
        assert state("by-hand") == "shut off"


class TestDriftOfARunningVm:
    @pytest.fixture
    def running(self, new_vm: NewVm, images: Path) -> dict[str, Any]:
        """Return a running VM whose guest shuts down on request."""
        vm = new_vm(root_volume=obedient_disk(images))
        assert not start(vm).failed
        wait_until_up(vm["uuid"])
        return vm

    def test_fail_names_what_differs_and_changes_nothing(self, running: dict[str, Any]) -> None:
        run = agreed({**running, "cpu_num": 2}, on_drift="fail")
        assert (run.error["code"], run.actions, run.result["changed"]) == ("drift", [], False)
        assert "vcpu" in run.error["message"]
        assert "vcpu" in [difference["path"] for difference in run.vm["differences"]]
        assert definition(running["uuid"]).findtext("vcpu") == "1"

    def test_ignore_says_what_differs_and_changes_nothing(self, running: dict[str, Any]) -> None:
        run = agreed({**running, "cpu_num": 2}, on_drift="ignore")
        assert (run.failed, run.actions) == (False, [])
        assert "vcpu" in [difference["path"] for difference in run.vm["differences"]]

    def test_restart_shuts_it_down_and_starts_it_in_sync(self, running: dict[str, Any]) -> None:
        run = agreed({**running, "cpu_num": 2}, on_drift="restart")
        assert (run.actions, run.vm["restart_required"]) == (["define", "stop", "start"], False)
        assert definition(running["uuid"], inactive=False).findtext("vcpu") == "2"

    def test_restart_leaves_what_is_in_sync_alone(self, running: dict[str, Any]) -> None:
        assert agreed(running, on_drift="restart").actions == []
