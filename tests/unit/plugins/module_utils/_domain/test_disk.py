# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of disks in the domain."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

UUID = "1f2e3d4c-5b6a-4798-8a9b-0c1d2e3f4a5b"


def built(**options: Any) -> DesiredDomain:
    desired = build(parsed_vm(**options), recorded_host("debian-12"), StorageFacts())
    assert schema_errors(desired.element) == []
    return desired


def root(**options: Any) -> etree._Element:
    """Return the disk of a root volume with these options."""
    return built(root_volume={"install_path": "/images/root", **options}).element.find("devices/disk")


def warnings(**options: Any) -> tuple[str, ...]:
    return built(root_volume={"install_path": "/images/root", **options}).warnings


def test_a_disk_without_options_has_the_minimal_driver() -> None:
    disk = root()
    assert dict(disk.find("driver").attrib) == {"name": "qemu", "type": "qcow2", "cache": "none"}
    assert [child.tag for child in disk] == ["driver", "source", "target", "boot"]


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({"discard": "unmap"}, {"discard": "unmap"}),
        ({"native_aio": True}, {"io": "native"}),
        ({"queues": "4"}, {"queues": "4"}),
    ],
)
def test_the_driver_has_what_is_given(options: dict[str, Any], attributes: dict[str, str]) -> None:
    plain = {"name": "qemu", "type": "qcow2", "cache": "none"}
    assert dict(root(**options).find("driver").attrib) == {**plain, **attributes}


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (
            {"native_aio": True, "cache_mode": "writeback"},
            "native_aio is ignored: needs cache_mode none, not writeback",
        ),
        ({"queues": 2, "use_virtio_scsi": True}, "queues is ignored: only virtio disks have queues"),
        ({"queues": 2, "use_virtio": False}, "queues is ignored: only virtio disks have queues"),
    ],
)
def test_what_a_disk_cannot_have_is_a_warning(options: dict[str, Any], warning: str) -> None:
    assert warnings(**options) == ("vms[0].root_volume.%s" % warning,)
    assert set(root(**options).find("driver").attrib) == {"name", "type", "cache"}


def test_serial_and_block_size() -> None:
    disk = root(serial="0123456789abcdef0123456789abcdef", physical_block_size=4096)
    assert disk.findtext("serial") == "0123456789abcdef0123456789abcdef"
    assert dict(disk.find("blockio").attrib) == {"physical_block_size": "4096"}


@pytest.mark.parametrize(
    ("qos", "limits"),
    [
        ({"total_iops": 100}, {"read_iops_sec": "100", "write_iops_sec": "100"}),
        ({"overall_iops": 100, "total_bandwidth": "1MiB"}, {"total_bytes_sec": "1048576", "total_iops_sec": "100"}),
        (
            {"read_bandwidth": 1, "write_bandwidth": 2, "read_iops": 3, "write_iops": 4},
            {"read_bytes_sec": "1", "write_bytes_sec": "2", "read_iops_sec": "3", "write_iops_sec": "4"},
        ),
    ],
)
def test_limits(qos: dict[str, Any], limits: dict[str, str]) -> None:
    assert {each.tag: each.text for each in root(qos=qos).find("iotune")} == limits


def test_a_luks_volume_names_its_secret_in_the_source() -> None:
    encryption = root(format="raw", luks_secret_uuid=UUID).find("source/encryption")
    assert encryption.get("format") == "luks"
    assert dict(encryption.find("secret").attrib) == {"type": "passphrase", "uuid": UUID}


def test_a_vhost_user_volume_has_only_what_its_server_does_not_decide() -> None:
    options = {"serial": "1", "discard": "unmap", "native_aio": True, "queues": 4}
    volume = {"device_type": "vhost", "install_path": "/run/volume", **options}
    disk = built(root_volume=volume, memory_access="shared").element.find("devices/disk")
    assert (disk.get("type"), disk.get("snapshot")) == ("vhostuser", "no")
    assert dict(disk.find("driver").attrib) == {"name": "qemu", "type": "raw", "queues": "4"}
    assert dict(disk.find("source").attrib) == {"type": "unix", "path": "/run/volume"}
    assert dict(disk.find("source/reconnect").attrib) == {"enabled": "yes", "timeout": "10"}
    assert disk.find("serial") is None


def test_a_block_volume_is_a_device_wherever_its_path_leads() -> None:
    disk = root(device_type="block", install_path="/srv/device", format="raw")
    assert (disk.get("type"), disk.find("source").get("dev")) == ("block", "/srv/device")


def test_a_volume_in_recovery_is_its_nbd_export() -> None:
    disk = root(recovery_url="nbd://10.0.9.7:10809/volume", discard="unmap")
    assert (disk.get("type"), disk.find("driver").get("type")) == ("network", "raw")
    assert dict(disk.find("source").attrib) == {"protocol": "nbd", "name": "volume"}
    assert dict(disk.find("source/host").attrib) == {"name": "10.0.9.7", "port": "10809"}


def test_scsi_lets_libvirt_choose_the_controller() -> None:
    domain = built(root_volume={"install_path": "/images/root", "use_scsi": True, "wwn": "0x000f1234567890ab"}).element
    assert domain.find("devices/controller[@type='scsi']").get("model") == "auto"
    assert domain.findtext("devices/disk/wwn") == "0x000f1234567890ab"


def test_a_lun_is_passed_through() -> None:
    lun = {"path": "/dev/disk/by-id/scsi-1", "device_id": 2, "sgio": "unfiltered"}
    (disk,) = built(scsi_luns=[lun]).element.findall("devices/disk[@device='lun']")
    assert (disk.get("type"), disk.get("sgio")) == ("block", "unfiltered")
    assert dict(disk.find("driver").attrib) == {"name": "qemu", "type": "raw", "cache": "none"}
    assert disk.find("source").get("dev") == "/dev/disk/by-id/scsi-1"
    assert (disk.find("target").get("dev"), disk.find("address").get("unit")) == ("sdd", "2")


class TestCdDrives:
    def drive(self, **options: Any) -> etree._Element:
        return built(cd_roms=[options], memory_access="shared").element.find("devices/disk[@device='cdrom']")

    def test_may_be_empty(self) -> None:
        drive = self.drive(serial="5aab3cf15313465c35e80c42bf77c0c5")
        assert (drive.get("type"), drive.find("source")) == ("file", None)
        assert drive.findtext("serial") == "5aab3cf15313465c35e80c42bf77c0c5"

    def test_may_have_a_device(self) -> None:
        vm = parsed_vm(cd_roms=[{"path": "/dev/vg/cd"}])
        facts = StorageFacts(block_devices=frozenset({"/dev/vg/cd"}))
        drive = build(vm, recorded_host("debian-12"), facts).element.find("devices/disk[@device='cdrom']")
        assert (drive.get("type"), drive.find("source").get("dev")) == ("block", "/dev/vg/cd")

    def test_may_have_a_lun(self) -> None:
        drive = self.drive(path="iscsi://10.0.8.8,10.0.8.9:3260/iqn.2015-01.io.example:cd/6001405")
        assert drive.find("source").get("dev") == "/dev/disk/by-id/wwn-0x6001405"

    def test_may_be_served_by_vhost_user(self) -> None:
        drive = self.drive(path="/run/cd", protocol="vhost")
        assert (drive.get("type"), drive.find("source").get("path")) == ("vhostuser", "/run/cd")
