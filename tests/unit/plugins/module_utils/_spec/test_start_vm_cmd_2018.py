# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document of 2018 becomes a VM without loss, and has no field of today's that would change it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.documents import converted, document, problems

CASES = sorted(Path(__file__).parents[4].joinpath("fixtures", "start_vm_cmd").glob("*.json"))


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def test_there_are_120_reference_documents() -> None:
    assert len(CASES) == 120


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
class TestReferenceDocuments:
    def test_are_right_as_they_are(self, path: Path) -> None:
        vm, warnings = vm_of_document(path.read_text(encoding="utf-8"), "error")
        assert warnings == []
        assert parse_vms([vm])[1] == []

    def test_lose_nothing_but_what_the_agent_ignores(self, path: Path) -> None:
        given = json.loads(path.read_text(encoding="utf-8"))
        vm = vm_of_document(given, "error")[0]
        for ignored in ("maxMemory", "instanceOfferingOnlineChange"):
            del given[ignored]
        for nic in given["nics"]:
            del nic["useVirtio"]
        given["usbRedirect"] = given["usbRedirect"] == "true"
        if given["videoType"] == "cirrus":
            del given["videoType"]
        assert sorted(map(repr, leaves(vm))) == sorted(map(repr, leaves(given)))


def test_every_field_has_its_option() -> None:
    monitors = [{"hostname": "10.0.9.1", "port": 6789}]
    assert converted(
        vmInternalId=7,
        hostManagementIp="10.0.0.1",
        socketNum=1,
        cpuOnSocket=2,
        cpuSpeed=512,
        useNuma=True,
        nestedVirtualization="host-model",
        kvmHiddenState=True,
        clock="localtime",
        bootDev=["cdrom", "hd"],
        useBootMenu=False,
        useVirtio=False,
        consoleMode="spice",
        consolePassword="pw",
        videoType="qxl",
        VDIMonitorNumber=2,
        spiceStreamingMode="all",
        usbRedirect="true",
        timeout=300,
        maxMemory=1,
        instanceOfferingOnlineChange=True,
        rootVolume={
            "installPath": "ceph://p/i",
            "deviceId": 0,
            "deviceType": "ceph",
            "volumeUuid": "f0",
            "useVirtio": True,
            "useVirtioSCSI": True,
            "shareable": False,
            "cacheMode": "writeback",
            "wwn": "0x0",
            "monInfo": monitors,
            "secretUuid": "s",
        },
        dataVolumes=[
            {"installPath": "iscsi://h:1/i/1", "deviceType": "iscsi", "chapUsername": "u", "chapPassword": "p"}
        ],
        bootIso=[{"path": "/iso", "imageUuid": "i", "deviceId": 1, "monInfo": monitors, "secretUuid": "s"}],
        nics=[
            {
                "mac": "m",
                "ip": "",
                "bridgeName": "br0",
                "uuid": "n0",
                "nicInternalName": "vnic7.0",
                "deviceId": 0,
                "useVirtio": True,
            }
        ],
        addons={
            "channel": {"socketPath": "/s", "targetName": "t"},
            "ceph_secret_key": "k",
            "ceph_secret_uuid": "s",
            "VolumeQos": {"f0": {"totalBandwidth": 1, "totalIops": 2}},
            "NicQos": {"n0": {"inboundBandwidth": 3, "outboundBandwidth": 4}},
            "pciDevice": ["0a:00.0"],
            "usbDevice": ["1:2:3:4:2.0"],
            "qemuPath": "/qemu",
        },
    ) == {
        "uuid": "001f00d0000000000000000000000001",
        "name": "vm-1",
        "memory": 1073741824,
        "cpu_num": 2,
        "internal_id": 7,
        "host_management_ip": "10.0.0.1",
        "socket_num": 1,
        "cpu_on_socket": 2,
        "cpu_speed": 512,
        "use_numa": True,
        "nested_virtualization": "host-model",
        "kvm_hidden_state": True,
        "clock": "localtime",
        "boot_dev": ["cdrom", "hd"],
        "use_boot_menu": False,
        "use_virtio": False,
        "console_mode": "spice",
        "console_password": "pw",
        "video_type": "qxl",
        "vdi_monitor_number": 2,
        "spice_streaming_mode": "all",
        "usb_redirect": True,
        "timeout": 300,
        "root_volume": {
            "install_path": "ceph://p/i",
            "device_id": 0,
            "device_type": "ceph",
            "volume_uuid": "f0",
            "use_virtio": True,
            "use_virtio_scsi": True,
            "shareable": False,
            "cache_mode": "writeback",
            "wwn": "0x0",
            "mon_info": monitors,
            "secret_uuid": "s",
            "qos": {"total_bandwidth": 1, "total_iops": 2},
        },
        "data_volumes": [
            {
                "install_path": "iscsi://h:1/i/1",
                "device_type": "iscsi",
                "chap_username": "u",
                "chap_password": "p",
            }
        ],
        "boot_iso": [{"path": "/iso", "image_uuid": "i", "device_id": 1, "mon_info": monitors, "secret_uuid": "s"}],
        "nics": [
            {
                "mac": "m",
                "ip": "",
                "bridge_name": "br0",
                "uuid": "n0",
                "nic_internal_name": "vnic7.0",
                "device_id": 0,
                "qos": {"inbound_bandwidth": 3, "outbound_bandwidth": 4},
            }
        ],
        "channels": [{"socket_path": "/s", "target_name": "t"}],
        "ceph_secret": {"uuid": "s", "key": "k"},
        "pci_devices": ["0a:00.0"],
        "usb_devices": ["1:2:3:4:2.0"],
        "emulator": "/qemu",
    }


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        ({}, ["vmInstanceUuid", "vmName", "memory", "cpuNum", "rootVolume"]),
        (document(rootVolume={}), ["rootVolume.installPath"]),
        (document(dataVolumes=[{"installPath": "/b", "monInfo": [{}]}]), ["dataVolumes[0].monInfo[0].hostname"]),
        (document(bootIso=[{}]), ["bootIso[0].path"]),
        (document(nics=[{}]), ["nics[0].bridgeName"]),
        (
            document(addons={"channel": [{}]}),
            ["addons.channel[0].socketPath", "addons.channel[0].targetName"],
        ),
    ],
    ids=["VM", "volume", "monitor", "CD", "NIC", "channel"],
)
def test_a_required_field_that_is_missing_is_a_problem(sent: dict[str, Any], missing: list[str]) -> None:
    assert problems(sent) == ["%s is required" % path for path in missing]


class TestUsbRedirect:
    @pytest.mark.parametrize(("sent", "meant"), [("true", True), ("false", False), ("True", True), (True, True)])
    def test_comes_as_text(self, sent: Any, meant: bool) -> None:
        assert converted(usbRedirect=sent)["usb_redirect"] is meant

    def test_may_not_be_another_text(self) -> None:
        assert problems(document(usbRedirect="yes!")) == ["usbRedirect must be true or false, not text"]


class TestVideoType:
    def test_cirrus_means_that_nobody_chose(self) -> None:
        assert "video_type" not in converted(videoType="cirrus")

    def test_another_one_was_chosen(self) -> None:
        assert converted(videoType="vga")["video_type"] == "vga"


class TestCephSecret:
    ADDONS = {"ceph_secret_uuid": "s", "ceph_secret_key": "a2V5"}

    def test_has_a_uuid_and_a_key(self) -> None:
        assert converted(addons=self.ADDONS)["ceph_secret"] == {"uuid": "s", "key": "a2V5"}

    @pytest.mark.parametrize("name", ["ceph_secret_uuid", "ceph_secret_key"])
    def test_needs_both(self, name: str) -> None:
        other = {key: value for key, value in self.ADDONS.items() if key != name}
        assert problems(document(addons=other)) == ["addons.%s is required" % name]


class TestNull:
    def test_is_left_out(self) -> None:
        assert converted(nics=None, consolePassword=None, addons=None) == converted()

    def test_in_addons_is_left_out(self) -> None:
        addons = {
            "channel": None,
            "VolumeQos": None,
            "ceph_secret_key": None,
            "ceph_secret_uuid": None,
            "pciDevice": None,
        }
        assert converted(addons=addons) == converted()


@pytest.mark.parametrize("unknown", ["error", "warn", "ignore"])
def test_a_field_that_only_todays_documents_have_is_refused_whatever_is_unknown(unknown: str) -> None:
    found = problems(document(secureBoot=True, nics=[{"bridgeName": "b", "mtu": 9000}]), unknown=unknown)
    reason = "is not supported: only documents with bootMode, cdRoms or machineType can have it"
    assert found == ["secureBoot %s" % reason, "nics[0].mtu %s" % reason]


def test_a_field_that_has_no_effect_today_has_none_in_an_old_document() -> None:
    assert converted(accountUuid="a", kvmHostAddons={}, secureBoot=False) == converted()
