# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Full or read-only file systems, no more file descriptors or threads: modules report it, and leave nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.lock import lock_directory
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import Pictures, vm_information
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.forked_task import Shortage, start
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state

BACKUPS = Path("/var/lib/zstack-kvm/backups")
# Options of tmpfs, and the error code of a write.
FULL = ("size=4k,nr_inodes=1", "disk_full", "No space left on device")
READ_ONLY = ("size=4k,ro", "path_unwritable", "Read-only file system")
# From Python 3.13 on, eight are enough for the whole task.
TOO_FEW_DESCRIPTORS = [1, 2, 3, 4, 6, *([8] if sys.version_info < (3, 13) else [])]

Kind = tuple[str, str, str]
kinds = pytest.mark.parametrize("kind", [FULL, READ_ONLY], ids=["full", "read-only"])


@contextmanager
def mounted(path: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory at the path within the block."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def lacking(vm: dict[str, Any], code: str, why: str, **options: Any) -> None:
    """Assert that the task fails with this code, says why, and has changed nothing."""
    run = start(vm, **options)
    assert (run.error["code"], run.error["rollback"]) == (code, "not_needed"), run.error
    assert why in run.error["message"]


class TestFileSystem:
    @kinds
    def test_of_locks(self, new_vm: NewVm, kind: Kind) -> None:
        vm = new_vm()
        with mounted(Path(lock_directory()), kind[0]):
            lacking(vm, *kind[1:])
        assert state(vm["uuid"]) == "absent"

    @kinds
    def test_of_backups_of_a_running_vm_and_of_its_screenshots(self, new_vm: NewVm, kind: Kind, tmp_path: Path) -> None:
        vm = new_vm()
        assert not start(vm).failed
        with mounted(BACKUPS, kind[0]):
            lacking({**vm, "cpu_num": 2}, *kind[1:], backup=True)
        assert definition(vm["uuid"]).findtext("vcpu") == "1"
        with mounted(tmp_path / "pictures", kind[0]):
            pictures = Pictures(str(tmp_path / "pictures"))
            (entry,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]], pictures=pictures)
            assert (entry["state"], entry["screenshot"]) == ("running", None)
            assert any(kind[2] in warning for warning in entry["warnings"]), entry["warnings"]

    def test_of_screenshots_that_is_full_before_one_is_written_has_no_part_of_it(
        self, new_vm: NewVm, tmp_path: Path
    ) -> None:
        vm = new_vm()
        assert not start(vm).failed
        with mounted(tmp_path / "pictures", "size=4k"):
            (tmp_path / "pictures" / "rest").write_bytes(b"a" * 4096)
            pictures = Pictures(str(tmp_path / "pictures"))
            (entry,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]], pictures=pictures)
            assert any("No space left on device" in warning for warning in entry["warnings"]), entry["warnings"]
            assert os.listdir(tmp_path / "pictures") == ["rest"]

    @kinds
    def test_of_a_channels_directory(self, new_vm: NewVm, tmp_path: Path, kind: Kind) -> None:
        directory = Path("/run", f"zstack-kvm-test-{uuid.uuid4().hex[:8]}")
        channel = {"socket_path": str(directory / "new" / "agent"), "target_name": "org.qemu.guest_agent.0"}
        vm = new_vm(channels=[channel])
        try:
            with mounted(directory, kind[0]):
                run = start(vm)
                assert (run.error["code"], run.error["rollback"]) == (kind[1], "done"), run.error
        finally:
            directory.rmdir()
        assert state(vm["uuid"]) == "absent"


@pytest.mark.parametrize("descriptors", TOO_FEW_DESCRIPTORS)
def test_without_file_descriptors_a_task_fails_before_it_has_changed_anything(new_vm: NewVm, descriptors: int) -> None:
    channel = {"socket_path": f"/run/{uuid.uuid4().hex[:8]}/agent", "target_name": "org.qemu.guest_agent.0"}
    vm = new_vm(channels=[channel])
    run = start(vm, shortage=Shortage(descriptors=descriptors))
    assert "Traceback" not in run.output
    assert run.error["rollback"] == "not_needed", run.error
    assert "Too many open files" in run.error["message"], run.error
    assert "taken" not in run.error["message"]
    assert state(vm["uuid"]) == "absent"
    assert not Path(lock_directory(), f"{vm['uuid']}.lock").exists()


def test_without_threads_it_fails_or_does_its_work_one_by_one(new_vm: NewVm) -> None:
    vms = [new_vm(), new_vm()]
    run = start(*vms, parallel=2, shortage=Shortage(threads=True))
    assert "Traceback" not in run.output
    assert run.vms, run.result
