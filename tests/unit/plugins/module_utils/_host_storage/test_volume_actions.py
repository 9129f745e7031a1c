# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes are created and grown under their locks, and a failed task removes only what nobody has used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import ActionContext
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_actions import CreateVolume, GrowVolume
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_store import Written
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, FakeSystem, parsed_vm
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host_storage.images import MIB, volume_to_create

VOLUME, CREATE = volume_to_create(Path("/volume"), size="8MiB")
WRITTEN = Written("/overlay", "qcow2")
USED = "<disk><source file='/volume'/></disk>"
OTHER = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"


class System(FakeSystem):
    """A hypervisor that knows whether a lock is held."""

    held = ""

    def shared_lock(self, name: str, label: str) -> Any:
        @contextmanager
        def acquire(seconds: float) -> Any:
            self.held = label
            yield
            self.held = ""

        return type("Lock", (), {"acquire": staticmethod(acquire)})


class Store:
    """A storage that creates volumes unless one exists, and records calls with the lock that is held meanwhile."""

    def __init__(self, system: System, is_there: bool = False, is_used: bool = False) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._system = system
        self._is_there = is_there
        self._is_used = is_used

    def create(self, *arguments: Any) -> Optional[Callable[[], bool]]:
        self.calls.append(("create", self._system.held))
        return None if self._is_there else self._remove

    def _remove(self) -> bool:
        self.calls.append(("remove", self._system.held))
        return not self._is_used

    def grow(self, volume: Any, written: Written, size: int, cancelled: threading.Event) -> None:
        self.calls.append(("grow", written, size, self._system.held))


class Libvirt(FakeHypervisor):
    """A libvirt that records which disks are grown."""

    def resize_block(self, uuid: str, target: str, size: int) -> None:
        self.calls.append(("resize_block", uuid, target, size))


def context(state: str = "shutoff", devices_of_other: str = "") -> Any:
    domains = {UUID: FakeDomain(state), OTHER: FakeDomain("shutoff", defined=devices_of_other)}
    libvirt: Any = Libvirt(domains)
    system: Any = System()
    return ActionContext(libvirt, system, parsed_vm(), ObservedVm(), threading.Event())


LOCK = "the volume /volume"


class TestCreation:
    def test_is_done_under_the_lock_of_the_volume(self) -> None:
        task = context()
        store: Any = Store(task.system)
        assert CreateVolume(VOLUME, CREATE, store, "/volume").do(task).undo is not None
        assert store.calls == [("create", LOCK)]

    def test_is_needless_where_somebody_else_was_faster(self) -> None:
        task = context()
        store: Any = Store(task.system, is_there=True)
        outcome = CreateVolume(VOLUME, CREATE, store, "/volume").do(task)
        assert (outcome.is_needless, outcome.undo) == (True, None)

    def test_is_undone_under_the_lock_too(self) -> None:
        task = context()
        store: Any = Store(task.system)
        self.undo(task, store)
        assert store.calls == [("create", LOCK), ("remove", LOCK)]

    def test_stays_without_an_error_where_another_domain_uses_the_volume(self) -> None:
        task = context(devices_of_other=USED)
        store: Any = Store(task.system)
        self.undo(task, store)
        assert store.calls == [("create", LOCK)]

    @pytest.mark.parametrize(("state", "is_used"), [("running", False), ("shutoff", True)])
    def test_stays_with_an_error_where_a_guest_has_the_volume_or_had_it(self, state: str, is_used: bool) -> None:
        task = context(state)
        store: Any = Store(task.system, is_used=is_used)
        with pytest.raises(VmError, match="the volume /volume is kept, because a guest may have used it") as caught:
            self.undo(task, store)
        assert caught.value.code == "volume_in_use"

    def undo(self, task: Any, store: Any) -> None:
        undo = CreateVolume(VOLUME, CREATE, store, "/volume").do(task).undo
        assert undo is not None
        undo()

    def test_of_a_volume_that_several_vms_share_has_one_name(self) -> None:
        store: Any = None
        assert CreateVolume(VOLUME, CREATE, store, "").shared == "volume /volume"


class TestGrowth:
    @pytest.mark.parametrize(("state", "target"), [("shutoff", None), ("shutoff", "vda"), ("running", None)])
    def test_of_a_volume_that_qemu_does_not_have_open_is_done_in_its_storage(
        self, state: str, target: Optional[str]
    ) -> None:
        task = context(state)
        store: Any = Store(task.system)
        GrowVolume(VOLUME, WRITTEN, 16 * MIB, target, store).do(task)
        assert store.calls == [("grow", WRITTEN, 16 * MIB, LOCK)]

    def test_of_the_disk_of_a_running_vm_is_done_by_qemu(self) -> None:
        task = context("running")
        store: Any = Store(task.system)
        GrowVolume(VOLUME, WRITTEN, 16 * MIB, "vda", store).do(task)
        assert (store.calls, task.hypervisor.changes) == ([], [("resize_block", UUID, "vda", 16 * MIB)])

    def test_cannot_be_undone(self) -> None:
        task = context()
        store: Any = Store(task.system)
        undo = GrowVolume(VOLUME, WRITTEN, 16 * MIB, None, store).do(task).undo
        assert undo is not None
        with pytest.raises(VmError, match="/volume has been grown, and a volume is never shrunk") as caught:
            undo()
        assert caught.value.code == "volume_in_use"


def test_their_descriptions_show_no_options() -> None:
    store: Any = None
    assert "/volume" not in repr(CreateVolume(VOLUME, CREATE, store, "/volume"))
