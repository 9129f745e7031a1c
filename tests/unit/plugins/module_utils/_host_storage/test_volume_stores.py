# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each volume that can be created has the store of its type of storage."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.network import ServerGreeting
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.ceph_volumes import CephVolumes
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.file_volumes import FileVolumes
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_stores import VolumeStores
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import CephSecret
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakePrograms
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host_storage.images import volume_to_create
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import SECRET, ceph_volume, volume

LIBVIRT: Any = FakeHypervisor()


@pytest.mark.parametrize(
    ("item", "store"), [(volume("file", "/a"), FileVolumes), (ceph_volume(), CephVolumes)], ids=["file", "ceph"]
)
def test_a_volume_has_the_store_of_its_type(item: Any, store: type) -> None:
    assert isinstance(VolumeStores(HostSystem(), LIBVIRT, None).of(item), store)


def test_volumes_of_a_task_share_a_store() -> None:
    stores = VolumeStores(HostSystem(), LIBVIRT, None)
    assert stores.of(volume("file", "/a")) is stores.of(volume("file", "/b"))


def test_the_store_of_ceph_has_the_keys_of_the_vms() -> None:
    inputs: list[Optional[str]] = []

    class Rbd(FakePrograms):
        def __init__(self) -> None:
            super().__init__(Path("/nonexistent"))
            self.network: Any = SimpleNamespace(connect=lambda host, *_more: ServerGreeting(host, b"ceph v2\n"))

        def run(self, argv: Sequence[str], timeout: float, stdin: Optional[str] = None) -> CommandResult:
            inputs.append(stdin)
            return CommandResult(2, "", "")

    vm: Any = SimpleNamespace(ceph_secret=CephSecret(SECRET, "bmV3"))
    item = ceph_volume(secret_uuid=SECRET)
    assert VolumeStores(Rbd(), LIBVIRT, None, [vm]).of(item).is_missing(item)
    (configuration,) = inputs
    assert "bmV3" in str(configuration)


def test_a_file_is_created_for_the_user_of_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda descriptor, user, group: owners.append((user, group)))
    created, create = volume_to_create(tmp_path / "volume", size="1MiB")
    VolumeStores(HostSystem(), LIBVIRT, (64055, 108)).of(created).create(created, create, threading.Event())
    assert owners == [(64055, 108)]
