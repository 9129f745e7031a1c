# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ZStack's StartVmCmd becomes a VM as a playbook describes it, without loss."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError, vm_from_start_vm_cmd

CASES = sorted(Path(__file__).parents[4].joinpath("fixtures", "start_vm_cmd").glob("*.json"))
MINIMAL = {
    "vmInstanceUuid": "001f00d0000000000000000000000001",
    "vmName": "vm-1",
    "memory": 1073741824,
    "cpuNum": 2,
    "rootVolume": {"installPath": "/a"},
}


def document(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(MINIMAL), **fields}


def converted(**fields: Any) -> dict[str, Any]:
    vm, warnings = vm_from_start_vm_cmd(document(**fields))
    assert warnings == []
    return vm


def problems(*args: Any, **kwargs: Any) -> list[str]:
    with pytest.raises(StartVmCmdError) as caught:
        vm_from_start_vm_cmd(*args, **kwargs)
    return caught.value.problems


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
        vm, warnings = vm_from_start_vm_cmd(path.read_text(encoding="utf-8"))
        assert warnings == []
        assert parse_vms([vm])[1] == []

    def test_lose_nothing_but_what_the_agent_ignores(self, path: Path) -> None:
        given = json.loads(path.read_text(encoding="utf-8"))
        vm = vm_from_start_vm_cmd(given)[0]
        for ignored in ("maxMemory", "instanceOfferingOnlineChange"):
            del given[ignored]
        for nic in given["nics"]:
            del nic["useVirtio"]
        given["usbRedirect"] = given["usbRedirect"] == "true"
        if given["videoType"] == "cirrus":
            del given["videoType"]
        assert sorted(map(repr, leaves(vm))) == sorted(map(repr, leaves(given)))


def test_the_shortest_document() -> None:
    assert converted() == {
        "uuid": "001f00d0000000000000000000000001",
        "name": "vm-1",
        "memory": 1073741824,
        "cpu_num": 2,
        "root_volume": {"install_path": "/a"},
    }


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


class TestLimits:
    def test_find_their_volume_however_the_uuid_is_written(self) -> None:
        plain = "001F00D0000000000000000000000002"
        dashed = "001f00d0-0000-0000-0000-000000000002"
        vm = converted(
            dataVolumes=[{"installPath": "/b", "volumeUuid": plain}],
            addons={"VolumeQos": {dashed: {"totalIops": 5}}},
        )
        assert vm["data_volumes"][0]["qos"] == {"total_iops": 5}

    @pytest.mark.parametrize("none", [0, -1, "0"])
    def test_of_nothing_are_none(self, none: Any) -> None:
        addons = {
            "VolumeQos": {"f0": {"totalBandwidth": none, "totalIops": 5}, "f1": {"totalIops": none}},
            "NicQos": {"n0": {"inboundBandwidth": none, "outboundBandwidth": 8192}},
        }
        vm = converted(
            rootVolume={"installPath": "/a", "volumeUuid": "f0"},
            dataVolumes=[{"installPath": "/b", "volumeUuid": "f1"}],
            nics=[{"bridgeName": "b", "uuid": "n0"}],
            addons=addons,
        )
        assert vm["root_volume"]["qos"] == {"total_iops": 5}
        assert "qos" not in vm["data_volumes"][0]
        assert vm["nics"][0]["qos"] == {"outbound_bandwidth": 8192}

    @pytest.mark.parametrize("key", ["VolumeQos", "NicQos"])
    def test_for_something_else_are_left_out_with_a_warning(self, key: str) -> None:
        vm, warnings = vm_from_start_vm_cmd(document(addons={key: {"f00d": {}}}))
        assert vm == converted()
        assert warnings == ["addons.%s.f00d is for a device that this VM does not have: ignored" % key]


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


class TestUnknownFields:
    DOCUMENT = document(
        gpu="x",
        rootVolume={"installPath": "/a", "size": 1},
        nics=[{"bridgeName": "b", "speed": 1}],
        addons={
            "vdiProxy": {},
            "channel": {"socketPath": "/s", "targetName": "t", "x": 1},
            "NicQos": {"f0": {"burst": 1}},
        },
    )
    PATHS = {
        "gpu",
        "rootVolume.size",
        "nics[0].speed",
        "addons.vdiProxy",
        "addons.channel[0].x",
        "addons.NicQos.f0.burst",
    }

    def test_are_one_error_that_names_them_all(self) -> None:
        (problem,) = problems(self.DOCUMENT)
        assert problem.startswith("unknown fields: ")
        assert problem.endswith(" (unknown='warn' ignores them)")
        assert set(problem.partition(": ")[2].partition(" (")[0].split(", ")) == self.PATHS

    def test_are_kept_out_with_a_warning(self) -> None:
        vm, warnings = vm_from_start_vm_cmd(self.DOCUMENT, unknown="warn")
        assert len(warnings) == 2
        assert set(warnings[1].partition(": ")[2].split(", ")) == self.PATHS
        assert parse_vms([vm])[1] == []

    def test_are_kept_out_silently(self) -> None:
        vm, warnings = vm_from_start_vm_cmd(document(gpu="x"), unknown="ignore")
        assert (vm, warnings) == (converted(), [])

    def test_may_have_any_name(self) -> None:
        assert problems({**document(), 5: 1, "a\nb": 1}) == ["unknown fields: 5, 'a\\nb' (unknown='warn' ignores them)"]


class TestWrongDocuments:
    def test_list_everything_that_is_wrong(self) -> None:
        wrong = document(memory="1G", cpuNum=True, useNuma="yes", vmName=5, nics=[3], dataVolumes={}, bootDev=["hd", 1])
        del wrong["vmInstanceUuid"]
        assert problems(wrong) == [
            "vmName must be text, not a number",
            "memory must be a whole number, not text",
            "cpuNum must be a whole number, not true or false",
            "useNuma must be true or false, not text",
            "nics[0] must be a mapping, not a number",
            "dataVolumes must be a list, not a mapping",
            "bootDev[1] must be text, not a number",
            "vmInstanceUuid is required",
        ]

    def test_never_repeat_a_secret(self) -> None:
        wrong = document(
            consolePassword=["hunter2"],
            rootVolume={"installPath": "/a", "chapPassword": {"a": "hunter2"}},
            addons={"ceph_secret_key": ["hunter2"]},
        )
        assert len(problems(wrong)) == 4
        assert "hunter2" not in str(problems(wrong))

    @pytest.mark.parametrize(
        ("raw", "problem"),
        [
            (None, "the document must be a mapping of fields, not nothing"),
            ([], "the document must be a mapping of fields, not a list"),
            ("[]", "the document must be a mapping of fields, not a list"),
            ("", "the text is not JSON: Expecting value in line 1, column 1"),
            ('{"vmName": "a"', "the text is not JSON: Expecting ',' delimiter in line 1, column 15"),
            ("[" * 100000, "the text is nested more than 32 levels deep"),
            ('{"vmName": "\\ud800"}', "the document contains an unpaired surrogate, which is not a character"),
            ('{"memory": Infinity}', "the document has a number that is not finite"),
            ({"memory": float("nan")}, "the document has a number that is not finite"),
            ('{"nics": [' + "{}," * 20_000 + "{}]}", "the text has more than 20000 values"),
        ],
    )
    def test_that_are_none(self, raw: Any, problem: str) -> None:
        assert problems(raw) == [problem]

    def test_are_not_changed(self) -> None:
        given = document(addons={"NicQos": {"n": {"inboundBandwidth": 1}}}, nics=[{"uuid": "n", "bridgeName": "b"}])
        before = copy.deepcopy(given)
        vm_from_start_vm_cmd(given)
        assert given == before


def test_whole_numbers_may_be_the_text_that_a_template_made_of_them() -> None:
    assert converted(memory="1073741824")["memory"] == "1073741824"


@pytest.mark.parametrize("unknown", ["error", "warn", "ignore"])
def test_a_field_that_only_todays_documents_have_is_refused_whatever_is_unknown(unknown: str) -> None:
    found = problems(document(secureBoot=True, nics=[{"bridgeName": "b", "mtu": 9000}]), unknown=unknown)
    reason = "is not supported: only documents with bootMode, cdRoms or machineType can have it"
    assert found == ["secureBoot %s" % reason, "nics[0].mtu %s" % reason]


def test_a_field_that_has_no_effect_today_has_none_in_an_old_document() -> None:
    assert converted(accountUuid="a", kvmHostAddons={}, secureBoot=False) == converted()
