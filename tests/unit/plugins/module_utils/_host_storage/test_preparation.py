# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage of VMs is checked volume by volume and CD by CD, and prepared in the order that a start needs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.preparation import preflight, prepare
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, parsed_vm, parsed_vms
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import IQN, SECRET

LIBVIRT: Any = FakeHypervisor()
NOTHING_ASKED = StorageFacts()


def test_volumes_and_cds_of_all_vms_are_checked(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    vms = parsed_vms(
        {
            "root_volume": {"install_path": "/root"},
            "data_volumes": [{"install_path": "/there", "device_id": 1}],
            "boot_iso": [{"path": "/iso", "device_id": 0}],
        },
        {"uuid": SECRET, "name": "other", "root_volume": {"install_path": "/other"}},
    )
    problems = preflight(vms, HostSystem(str(tmp_path)), LIBVIRT)
    assert [(problem.option_path, problem.code) for problem in problems] == [
        ("vms[0].root_volume.install_path", "image_missing"),
        ("vms[0].boot_iso[0].path", "image_missing"),
        ("vms[1].root_volume.install_path", "image_missing"),
    ]


def test_storage_that_is_reachable_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    vm = parsed_vm(root_volume={"install_path": "/root"})
    assert preflight([vm], HostSystem(str(tmp_path)), LIBVIRT) == []


def test_secrets_are_set_before_logins_and_files_need_nothing(tmp_path: Path) -> None:
    key = base64.b64encode(b"a key").decode()
    lun = {
        "install_path": "iscsi://10.0.8.8/%s/1" % IQN,
        "device_type": "iscsi",
        "device_id": 1,
        "use_virtio": False,
    }
    vm = parsed_vm(ceph_secret={"uuid": SECRET, "key": key}, data_volumes=[lun])
    system = HostSystem(str(tmp_path))
    assert [action.name for action in prepare(vm, NOTHING_ASKED, system, LIBVIRT)] == [
        "define_secret",
        "log_in_to_iscsi_target",
    ]
    assert prepare(parsed_vm(), NOTHING_ASKED, system, LIBVIRT) == []
