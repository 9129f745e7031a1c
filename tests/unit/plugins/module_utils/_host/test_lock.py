# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task at a time per VM, however the task ends."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.lock import HostLock, vm_lock

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
# Separate processes, as tasks are.
processes = multiprocessing.get_context("fork")


def hold(directory: str, held: object, seconds: float) -> None:
    """Acquire the lock and keep it."""
    with vm_lock(UUID, directory).acquire(5):
        held.set()  # type: ignore[attr-defined]
        time.sleep(seconds)


def count_in_file(directory: str, counter: str) -> None:
    """Add one to a number in a file, slowly."""
    with vm_lock(UUID, directory).acquire(60):
        number = int(Path(counter).read_text(encoding="ascii"))
        time.sleep(0.005)
        Path(counter).write_text(str(number + 1), encoding="ascii")


def test_a_second_task_waits_and_then_names_the_process_that_has_it(tmp_path: Path) -> None:
    held = processes.Event()
    other = processes.Process(target=hold, args=(str(tmp_path), held, 30))
    other.start()
    try:
        assert held.wait(10)
        with pytest.raises(VmError) as caught:
            vm_lock(UUID, str(tmp_path)).acquire(0.2)
        assert caught.value.code == "vm_locked"
        assert f"process {other.pid}" in caught.value.message
    finally:
        other.kill()
        other.join()


def test_a_task_that_is_interrupted_stops_waiting(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with vm_lock(UUID, str(tmp_path)).acquire(1):
        with pytest.raises(VmError) as caught:
            vm_lock(UUID, str(tmp_path)).acquire(60, cancelled)
    assert caught.value.code == "interrupted"


def test_a_task_that_was_interrupted_does_not_keep_the_lock(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(VmError, match="interrupted"):
        vm_lock(UUID, str(tmp_path)).acquire(60, cancelled)
    vm_lock(UUID, str(tmp_path)).acquire(0).release()


def test_another_vm_is_not_waited_for(tmp_path: Path) -> None:
    with vm_lock(UUID, str(tmp_path)).acquire(1):
        vm_lock("0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02", str(tmp_path)).acquire(0).release()


def test_it_is_free_when_its_process_is_killed(tmp_path: Path) -> None:
    held = processes.Event()
    other = processes.Process(target=hold, args=(str(tmp_path), held, 30))
    other.start()
    assert held.wait(10)
    os.kill(other.pid or 0, signal.SIGKILL)
    other.join()
    vm_lock(UUID, str(tmp_path)).acquire(1).release()


def test_nothing_is_left_when_it_is_released(tmp_path: Path) -> None:
    with vm_lock(UUID, str(tmp_path)).acquire(1):
        assert os.listdir(tmp_path) == [UUID + ".lock"]
    assert os.listdir(tmp_path) == []


def test_many_tasks_have_it_one_after_another(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0", encoding="ascii")
    locks = str(tmp_path / "locks")
    tasks = [processes.Process(target=count_in_file, args=(locks, str(counter))) for _number in range(20)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join(60)
    assert [task.exitcode for task in tasks] == [0] * 20
    assert counter.read_text(encoding="ascii") == "20"


def test_a_full_file_system_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with vm_lock(UUID, str(tmp_path)).acquire(0):
        with pytest.raises(VmError):
            vm_lock(UUID, str(tmp_path)).acquire(0)


def test_a_link_of_its_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / (UUID + ".lock")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VmError) as caught:
        vm_lock(UUID, str(tmp_path)).acquire(0)
    assert caught.value.code == "path_unwritable"
    assert not (tmp_path / "elsewhere").exists()


def test_it_cannot_be_taken_twice_by_a_file_of_the_same_name(tmp_path: Path) -> None:
    first = vm_lock(UUID, str(tmp_path)).acquire(0)
    (tmp_path / (UUID + ".lock")).unlink()
    with vm_lock(UUID, str(tmp_path)).acquire(0):
        first.release()
        assert os.listdir(tmp_path) == [UUID + ".lock"], "the first has removed the lock of the second"


def test_what_vms_share_is_named(tmp_path: Path) -> None:
    with HostLock("shared-1", "the secret 1", "shared_locked", str(tmp_path)).acquire(0):
        with pytest.raises(VmError) as caught:
            HostLock("shared-1", "the secret 1", "shared_locked", str(tmp_path)).acquire(0)
    assert caught.value.code == "shared_locked"
    assert "working on the secret 1 for more than" in caught.value.message
    assert "VM" not in caught.value.message
