# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of today's StartVmCmd."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.documents import (
    DRIVE,
    PCI,
    problems_of,
    read,
    root,
    vm_of,
)

NUMBERS = {"domain": 0, "bus": 0, "slot": 31, "function": 0}


def test_a_volume_in_dev_is_a_block_device() -> None:
    assert vm_of(rootVolume=root(installPath="/dev/vg/lv"))["root_volume"]["device_type"] == "block"


def test_a_recorded_address_is_taken_whole() -> None:
    volume = vm_of(rootVolume=root(useVirtio=False, useVirtioSCSI=True, deviceAddress=DRIVE))["root_volume"]
    assert volume["address"] == {"type": "drive", "controller": 0, "bus": 1, "target": 0, "unit": 3}


def test_an_address_of_another_bus_than_the_volume_has_now_is_left_out() -> None:
    assert "address" not in vm_of(rootVolume=root(deviceAddress=DRIVE))["root_volume"]


def test_the_address_of_a_nic_is_hexadecimal() -> None:
    (nic,) = vm_of(nics=[{"bridgeName": "b", "driverType": "e1000", "pci": PCI}])["nics"]
    assert (nic["address"]["slot"], nic["model"]) == (31, "e1000")


def test_a_nic_without_clean_traffic_has_no_filter() -> None:
    (nic,) = vm_of(nics=[{"bridgeName": "b", "ips": ["10.0.0.1"], "cleanTraffic": False}])["nics"]
    assert "ips" not in nic


@pytest.mark.parametrize(("sent", "isolated"), [({}, None), ({"isolated": True}, True), ({"isolated": False}, False)])
def test_the_isolation_of_a_nic_is_that_of_the_document(sent: dict[str, bool], isolated: Any) -> None:
    (nic,) = vm_of(nics=[{"mac": "fa:00:00:00:00:01", "bridgeName": "br0", **sent}])["nics"]
    assert nic.get("isolated") is isolated


def test_only_the_drives_in_the_list_exist() -> None:
    assert (vm_of()["cd_roms"], vm_of(cdRoms=[{"deviceId": 1, "isEmpty": True}])["cd_roms"]) == ([], [{"device_id": 1}])


@pytest.mark.parametrize("kind", ["vhost", "iscsi"])
def test_a_vhost_or_iscsi_volume_has_no_io_thread(kind: str) -> None:
    vm, reader = read(rootVolume=root(deviceType=kind, ioThreadId=1))
    assert ("io_thread" in vm["root_volume"], len(reader.warnings)) == (False, 1)


def test_an_iscsi_volume_on_a_scsi_bus_has_the_io_thread_of_its_controller() -> None:
    vm, reader = read(rootVolume=root(deviceType="iscsi", useVirtioSCSI=True, ioThreadId=1))
    assert (vm["root_volume"]["io_thread"], reader.warnings) == (1, [])


@pytest.mark.parametrize(
    ("fields", "shareable", "warnings"),
    [
        pytest.param({"deviceType": "ceph"}, False, 1, id="virtio"),
        pytest.param({"deviceType": "ceph", "useVirtioSCSI": True}, True, 0, id="SCSI"),
        pytest.param({}, True, 0, id="file"),
    ],
)
def test_a_ceph_volume_is_marked_as_shareable_on_scsi_buses_only(
    fields: dict[str, Any], shareable: bool, warnings: int
) -> None:
    vm, reader = read(rootVolume=root(shareable=True, **fields))
    assert (vm["root_volume"].get("shareable", False), len(reader.warnings)) == (shareable, warnings)


@pytest.mark.parametrize(("sent", "path"), [(3, "addons.NativeAio"), ({"f0": "on"}, "addons.NativeAio.f0")])
def test_native_aio_is_true_or_false(sent: Any, path: str) -> None:
    (problem,) = problems_of(addons={"NativeAio": sent})
    assert problem.startswith(path + " must be true or false")


@pytest.mark.parametrize("sent", [True, {"f0": True}], ids=["of all volumes", "by UUID"])
def test_native_aio_is_left_out_with_a_warning_where_the_cache_mode_forbids_it(sent: Any) -> None:
    assert vm_of(addons={"NativeAio": sent})["root_volume"]["native_aio"] is True
    vm, reader = read(rootVolume=root(cacheMode="writeback"), addons={"NativeAio": sent})
    assert ("native_aio" in vm["root_volume"], len(reader.warnings)) == (False, 1)


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        pytest.param({}, {"device_type": "file", "serial": "f0", "discard": "unmap"}, id="file"),
        pytest.param(
            {"deviceType": "vhost", "format": "raw"},
            {"serial": None, "discard": None, "format": "raw"},
            id="vhost",
        ),
        pytest.param({"format": "raw"}, {"format": None}, id="the image states its format"),
        pytest.param({"useSCSI": True, "controllerIndex": 1}, {"use_scsi": True, "controller_index": 1}, id="SCSI"),
        pytest.param({"controllerIndex": 2}, {"controller_index": None}, id="controller of another bus"),
        pytest.param(
            {"useSCSI": True, "controllerIndex": 0, "ioThreadId": 0},
            {"controller_index": None, "io_thread": None},
            id="no controller and no IO thread",
        ),
        pytest.param({"multiQueues": 0}, {"queues": None}, id="no queues"),
        pytest.param({"useVirtio": None}, {"use_virtio": False}, id="the machine's own bus"),
        pytest.param({"bootOrder": 1}, {"boot_order": 1}, id="boot order"),
        pytest.param({"bootOrder": 0}, {"boot_order": None}, id="no boot order"),
        pytest.param({"multiQueues": 4}, {"queues": 4}, id="queues"),
        pytest.param({"multiQueues": 4, "deviceType": "iscsi"}, {"queues": None}, id="queues of iSCSI"),
        pytest.param({"ioThreadId": 1}, {"io_thread": 1}, id="IO thread"),
        pytest.param({"useVirtio": False, "ioThreadId": 3}, {"io_thread": None}, id="IO thread of another bus"),
        pytest.param({"physicalBlockSize": 4096}, {"physical_block_size": None}, id="block size of a file"),
        pytest.param(
            {"deviceType": "ceph", "physicalBlockSize": 4096}, {"physical_block_size": 4096}, id="block size of ceph"
        ),
        pytest.param(
            {"deviceType": "ceph", "physicalBlockSize": 0}, {"physical_block_size": None}, id="no block size of ceph"
        ),
        pytest.param({"secretUuid": "s"}, {"luks_secret_uuid": "s", "secret_uuid": None}, id="secret of a file"),
        pytest.param(
            {"deviceType": "ceph", "secretUuid": "s"}, {"luks_secret_uuid": None, "secret_uuid": "s"}, id="ceph secret"
        ),
        pytest.param(
            {"installPath": "/a?r=nbd://h"}, {"install_path": "/a", "recovery_url": "nbd://h"}, id="recovery URL"
        ),
        pytest.param({"deviceAddress": PCI}, {"address": {**PCI, **NUMBERS}}, id="PCI address"),
    ],
)
def test_a_volume_has_the_options(fields: dict[str, Any], options: dict[str, Any]) -> None:
    volume = vm_of(rootVolume=root(**fields))["root_volume"]
    assert {name: volume.get(name) for name in options} == options


def test_the_boot_order_of_a_data_volume_is_ignored() -> None:
    assert "boot_order" not in vm_of(dataVolumes=[root(bootOrder=2)])["data_volumes"][0]


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        pytest.param({"deviceId": 0, "isEmpty": True}, {"device_id": 0}, id="empty"),
        pytest.param(
            {"path": "/cd.iso", "resourceUuid": "r", "bootOrder": 2},
            {"path": "/cd.iso", "serial": "r", "boot_order": 2},
            id="file",
        ),
        pytest.param({"path": "ceph://p/i", "resourceUuid": "r"}, {"path": "ceph://p/i"}, id="ceph"),
        pytest.param({"path": "/s", "protocol": "Vhost"}, {"path": "/s", "protocol": "vhost"}, id="vhost"),
        pytest.param({"path": "iscsi://h", "protocol": "iSCSI"}, {"path": "iscsi://h"}, id="iSCSI"),
    ],
)
def test_a_drive_has_the_options(fields: dict[str, Any], options: dict[str, Any]) -> None:
    assert vm_of(cdRoms=[fields])["cd_roms"] == [options]


@pytest.mark.parametrize(
    ("fields", "drives"),
    [
        pytest.param({"isApplianceVm": True, "cdRoms": [{"deviceId": 0}]}, [], id="appliance"),
        pytest.param(
            {"fromForeignHypervisor": True, "cdRoms": [{"deviceId": 1}], "addons": {"FIXED_CDROMS": "1, 2,x"}},
            [1, 2],
            id="VM of another hypervisor",
        ),
    ],
)
def test_the_drives_of(fields: dict[str, Any], drives: list[int]) -> None:
    assert [drive["device_id"] for drive in vm_of(**fields)["cd_roms"]] == drives


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        pytest.param({}, {"bridge_name": "b", "model": "e1000"}, id="fewest"),
        pytest.param({"useVirtio": True}, {"bridge_name": "b", "model": "virtio"}, id="virtio"),
        pytest.param(
            {"driverType": "virtio", "vHostAddOn": {"queueNum": 4, "rxBufferSize": 512}},
            {"bridge_name": "b", "model": "virtio", "queues": 4, "rx_queue_size": 512, "tx_queue_size": 1024},
            id="queues",
        ),
        pytest.param(
            {"driverType": "virtio", "vHostAddOn": {"queueNum": 1}}, {"bridge_name": "b", "model": "virtio"}, id="queue"
        ),
        pytest.param(
            {"cleanTraffic": True, "ips": ["10.0.0.1"]},
            {"bridge_name": "b", "model": "e1000", "clean_traffic": True, "ips": ["10.0.0.1"]},
            id="filter",
        ),
        pytest.param(
            {"state": "disable", "mtu": 9000},
            {"bridge_name": "b", "model": "e1000", "link_state": "down", "mtu": 9000},
            id="link",
        ),
        pytest.param(
            {"type": "VF", "pciDeviceAddress": "5e:02.1", "vlanId": 30, "mtu": 9000},
            {"pci_device_address": "5e:02.1", "vlan_id": 30},
            id="virtual function",
        ),
    ],
)
def test_a_nic_has_the_options(fields: dict[str, Any], options: dict[str, Any]) -> None:
    assert vm_of(nics=[{"bridgeName": "b", **fields}])["nics"] == [options]


@pytest.mark.parametrize(
    ("addons", "option", "value"),
    [
        ({"panicIsa": True, "panicHyperv": True}, "panic_devices", ["hyperv", "isa"]),
        ({"systemVirtioDriverDeviceType": "ISO"}, "floppies", None),
        (
            {"systemVirtioDriverDeviceType": "VFD"},
            "floppies",
            [
                "/var/lib/zstack/virtio-drivers/virtio-win_x86.vfd",
                "/var/lib/zstack/virtio-drivers/virtio-win_amd64.vfd",
            ],
        ),
    ],
)
def test_other_devices_are_those_of_the_addons(addons: dict[str, Any], option: str, value: Any) -> None:
    assert vm_of(addons=addons).get(option) == value


def test_the_address_of_the_memory_balloon() -> None:
    assert vm_of(memBalloon={"deviceAddress": PCI})["memory_balloon"] == {"address": {**PCI, **NUMBERS}}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"rootVolume": root(deviceType="x")}, "rootVolume.deviceType must be one of file, block, ceph, iscsi, vhost"),
        ({"rootVolume": root(deviceType=5)}, "rootVolume.deviceType must be text, not a number"),
        ({"rootVolume": root(deviceAddress={"type": "usb"})}, "rootVolume.deviceAddress.type must be pci or drive"),
        ({"cdRoms": [{"isEmpty": False}]}, "cdRoms[0].isEmpty is false, but the drive has no path"),
        ({"cdRoms": [{"path": "/a", "protocol": "x"}]}, "cdRoms[0].protocol must be one of Vhost, iSCSI"),
        ({"nics": [{}]}, "nics[0].bridgeName is required"),
        ({"nics": [{"bridgeName": "b", "type": "x"}]}, "nics[0].type must be VNIC or VF"),
        (
            {"nics": [{"bridgeName": "b", "type": "VF"}]},
            "nics[0].pciDeviceAddress is required for the type VF",
        ),
        ({"nics": [{"bridgeName": "b", "state": "x"}]}, "nics[0].state must be enable or disable"),
    ],
)
def test_what_no_device_can_be_is_a_problem(fields: dict[str, Any], problem: str) -> None:
    assert problems_of(**fields) == [problem]
