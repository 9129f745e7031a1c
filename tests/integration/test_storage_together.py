# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VM with volumes of every backend, each on its real server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage.fusionstor import NBD_SOCKET
from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import chap_secret_uuid
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media, module_run, playbook
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.servers import CephCluster, IscsiServer, NbdServer
from ansible_collections.zstack.kvm.tests.support.virsh import qmp, try_virsh, virsh

IQN = "iqn.2024-01.io.zstack:together"
USER, PASSWORD = "zs", "password-1234"


@pytest.fixture
def ceph(tmp_path: Path) -> Iterator[CephCluster]:
    with CephCluster() as cluster:
        cluster.write_image("pool", "root", media.write_raw(tmp_path / "root", "I am in ceph").read_bytes())
        cluster.write_image("pool", "iso", media.cd_image("I am a CD in ceph"))
        cluster.snapshot("pool", "iso", "snap")
        yield cluster


@pytest.fixture
def target(tmp_path: Path) -> Iterator[IscsiServer]:
    with IscsiServer() as server:
        server.add_target(IQN, media.write_raw(tmp_path / "lun", "I am a LUN"), chap=(USER, PASSWORD))
        yield server


@pytest.fixture
def export(tmp_path: Path) -> Iterator[str]:
    """Yield the name of the export that FusionStor's socket serves."""
    with NbdServer({"pool/data": media.write_qcow2(tmp_path / "data", "I am an export")}, socket=Path(NBD_SOCKET)):
        yield "pool/data"


@pytest.fixture
def secret() -> Iterator[str]:
    """Yield the UUID of the cluster's secret; it and the target's secret are removed after the test."""
    value = str(uuid.uuid4())
    yield value
    for each in (value, chap_secret_uuid(IQN)):
        try_virsh("secret-undefine", each)


def test_a_guest_boots_from_ceph_and_has_the_volumes_of_the_others(
    new_vm: NewVm, ceph: CephCluster, target: IscsiServer, export: str, secret: str, images: Path
) -> None:
    in_ceph: dict[str, Any] = {"mon_info": ceph.monitors, "secret_uuid": secret}
    chap = {"chap_username": USER, "chap_password": PASSWORD}
    vm = new_vm(
        root_volume={"device_type": "ceph", "install_path": "ceph://pool/root", **in_ceph},
        data_volumes=[
            {"device_type": "iscsi", "install_path": target.install_path(IQN), **chap},
            {"device_type": "fusionstor", "install_path": "fusionstor://" + export},
            {"device_type": "file", "install_path": str(media.write_qcow2(images / "file", "I am a file"))},
        ],
        boot_iso=[{"path": "ceph://pool/iso@snap", **in_ceph}],
        ceph_secret={"uuid": secret, "key": ceph.key},
    )
    run = playbook.agreed(vm, verbosity=3)
    assert run.actions == ["define", "define_secret", "define_secret", "start"]
    assert not any(text in run.output for text in (ceph.key, PASSWORD))
    wait_for_text(vm["uuid"], "I am in ceph")
    drivers = [each["inserted"]["drv"] for each in qmp(vm["uuid"], "query-block") if "inserted" in each]
    assert sorted(drivers) == ["qcow2", "qcow2", "raw", "raw", "raw"]
    assert target.sessions(IQN) == 1
    assert module_run.agreed(vm).actions == []
    virsh("destroy", vm["uuid"])
