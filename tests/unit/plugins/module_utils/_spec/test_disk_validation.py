# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of disks that are invalid, or contradict each other."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms

VM = {"uuid": "6a9c3b1e2f644d0b9a557a0d3c1f2b11", "name": "web", "memory": "1GiB", "cpu_num": 1}


def problems(**options: Any) -> list[str]:
    _vms, found = parse_vms([{**VM, "root_volume": volume(), **options}])
    return [str(problem) for problem in found]


def volume(**options: Any) -> dict[str, Any]:
    return {"install_path": "/images/root", **options}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"serial": "a/b"}, "serial: 'a/b' is not a serial number"),
        ({"serial": "a" * 37}, "serial: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is longer than 36 characters"),
        ({"physical_block_size": 1000}, "physical_block_size: 1000 is not a block size"),
        ({"boot_order": 0}, "boot_order: 0 must be between 1 and"),
        ({"queues": 0}, "queues: 0 must be between 1 and 1024"),
        ({"queues": "many"}, "queues: must be a whole number, not 'many'"),
        ({"discard": "yes"}, "discard: must be one of unmap, ignore, not 'yes'"),
        ({"luks_secret_uuid": "1"}, "luks_secret_uuid: '1' is not a UUID"),
        ({"recovery_url": "http://a/b"}, "recovery_url: 'http://a/b' does not have the form nbd://HOST:PORT/EXPORT"),
        ({"recovery_url": "nbd://a:0/b"}, "recovery_url: 'nbd://a:0/b' does not have the form nbd://HOST:PORT/EXPORT"),
        ({"io_thread": 3}, "io_thread: is 3, but io_threads of the VM has no thread with that id"),
        ({"device_type": "vhost", "use_virtio": False}, "device_type: is vhost, which only virtio disks can be"),
        ({"device_type": "vhost", "install_path": "run"}, "install_path: 'run' is not the absolute path of a socket"),
        ({"device_type": "vhost", "qos": {"total_iops": 1}}, "qos: cannot be used with device_type vhost"),
        ({"qos": {"total_bandwidth": 1, "read_bandwidth": 1}}, "qos.total_bandwidth: cannot be used with read_bandwid"),
        ({"qos": {"overall_iops": 1, "total_iops": 1}}, "qos.overall_iops: cannot be used with total_iops"),
        ({"qos": {"total_iops": 1, "write_iops": 1}}, "qos.total_iops: cannot be used with write_iops"),
    ],
)
def test_a_volume_with_one_problem(options: dict[str, Any], problem: str) -> None:
    # A vhost-user volume has its socket's path where others have an image's.
    if options.get("device_type") == "vhost":
        options = {"install_path": "/run/volume", **options}
    found = problems(root_volume=volume(**options), memory_access="shared")
    assert [each.startswith("vms[0].root_volume." + problem) for each in found] == [True], found


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"cd_roms": [], "boot_iso": [{"path": "/cd"}]}, "boot_iso: cannot be used with cd_roms"),
        ({"cd_roms": [{}, {}, {}, {}]}, "cd_roms: are more than the 3 drives"),
        ({"cd_roms": [{"device_id": 3}]}, "cd_roms[0].device_id: 3 must be between 0 and 2"),
        (
            {"cd_roms": [{"protocol": "vhost"}], "memory_access": "shared"},
            "cd_roms[0].protocol: is vhost, but the drive has no path",
        ),
        ({"cd_roms": [{"protocol": "vhost", "path": "/s"}]}, "cd_roms[0].protocol: is vhost, which needs memory that"),
        (
            {"data_volumes": [volume(install_path="/s", device_type="vhost")]},
            "data_volumes[0].device_type: is vhost, which needs memory that its server can map",
        ),
        ({"cd_roms": [{"path": "cd.iso"}]}, "cd_roms[0].path: 'cd.iso' is not the absolute path of a file"),
        ({"cd_roms": [{"device_id": 1}, {}]}, "cd_roms[1].device_id: is the same as vms[0].cd_roms[0].device_id"),
        ({"cd_roms": [{"path": "iscsi://a/b/1"}]}, "cd_roms[0].path: 'iscsi://a/b/1' does not have the form iscsi://"),
        ({"floppies": ["/a", "/b", "/c"]}, "floppies: are more than the 2 floppy drives"),
        ({"floppies": ["/a", "/a"]}, "floppies[1]: is the same as vms[0].floppies[0]"),
        ({"scsi_luns": [{"path": "sdb"}]}, "scsi_luns[0].path: 'sdb' is not an absolute path"),
        ({"image_platform": "Plan9"}, "image_platform: must be one of Linux, Windows"),
        (
            {"create_paused": True, "wait_for": "address", "nics": [{"bridge_name": "br0"}]},
            "create_paused: cannot be used with wait_for address",
        ),
        (
            {"root_volume": volume(boot_order=1), "nics": [{"bridge_name": "br0", "boot_order": 1}]},
            "nics[0].boot_order: is the same as vms[0].root_volume.boot_order",
        ),
    ],
)
def test_a_vm_with_one_problem(options: dict[str, Any], problem: str) -> None:
    found = problems(**options)
    assert [each.startswith("vms[0]." + problem) for each in found] == [True], found


def test_all_problems_are_listed() -> None:
    found = problems(
        root_volume=volume(serial="/", discard="x"), cd_roms=[{"address": {"type": "drive"}}], floppies=["a"]
    )
    assert sorted(problem.partition(":")[0] for problem in found) == [
        "vms[0].cd_roms[0].address.unit",
        "vms[0].floppies[0]",
        "vms[0].root_volume.discard",
        "vms[0].root_volume.serial",
    ]
