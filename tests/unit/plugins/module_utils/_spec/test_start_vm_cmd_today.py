# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Today's StartVmCmd becomes a VM, with today's defaults; what cannot be carried out is a problem with its path."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.documents import (
    PCI,
    problems_of,
    read,
    root,
    vm_of,
)


def test_what_the_document_does_not_mention_is_not_left_to_others() -> None:
    assert vm_of()["omitted_settings"] == "remove"


def test_io_threads_beyond_the_pins_have_the_lowest_free_numbers() -> None:
    addons = {"ioThreadNum": 4, "ioThreadPins": [{"ioThreadId": 2, "pin": "0-1"}, {"ioThreadId": 9, "pin": "3"}]}
    assert vm_of(addons=addons)["io_threads"] == [
        {"id": 2, "cpus": "0-1"},
        {"id": 9, "cpus": "3"},
        {"id": 1},
        {"id": 3},
    ]


def test_more_pins_than_io_threads_are_threads_too() -> None:
    addons = {"ioThreadNum": 1, "ioThreadPins": [{"ioThreadId": 1}, {"ioThreadId": 2}]}
    assert vm_of(addons=addons)["io_threads"] == [{"id": 1}, {"id": 2}]


def test_pins_of_no_io_thread_have_no_effect_with_a_warning() -> None:
    vm, reader = read(addons={"ioThreadNum": 0, "ioThreadPins": [{"ioThreadId": 1}]})
    assert (vm.get("io_threads"), len(reader.warnings)) == (None, 1)


def test_a_score_of_0_is_set_as_well() -> None:
    assert vm_of(priorityConfigStruct={"oomScoreAdj": 0})["oom_score_adj"] == 0
    assert "oom_score_adj" not in vm_of()


CHANNEL = {"socketPath": "/run/agent", "targetName": "agent"}
ROUTER = {"socketPath": "/run/router", "targetName": "router"}


@pytest.mark.parametrize(
    ("fields", "option", "value"),
    [
        ({"noSharePages": True}, "no_share_pages", True),
        ({"pmu": False}, "pmu", False),
        (
            {"guestOsType": "Ubuntu 22.04"},
            "smbios",
            {"manufacturer": "Microsoft Corporation", "product": "Virtual Machine"},
        ),
        (
            {"addons": {"channel": CHANNEL, "channel_vr": ROUTER}},
            "channels",
            [
                {"socket_path": "/run/agent", "target_name": "agent"},
                {"socket_path": "/run/router", "target_name": "router"},
            ],
        ),
        (
            {"addons": {"pciDevice.dgpu": [{"path": "/dev/shm/gpu0", "size": 1 << 20}]}},
            "shared_memory",
            [{"name": "gpu0", "size": 1 << 20}],
        ),
        (
            {"nics": [{"bridgeName": "b", "driverType": "virtio", "isolated": True}]},
            "nics",
            [{"bridge_name": "b", "model": "virtio", "isolated": True}],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_of_zstack_cloud_5_is_an_option(fields: dict[str, Any], option: str, value: Any) -> None:
    assert vm_of(**fields)[option] == value


@pytest.mark.parametrize(
    "fields", [{"guestOsType": "CentOS 7"}, {"guestOsType": "Debian 12", "machineType": "virt"}], ids=["other", "arm"]
)
def test_only_ubuntu_and_debian_on_x86_64_have_a_manufacturer(fields: dict[str, Any]) -> None:
    assert "smbios" not in vm_of(**{"bootMode": "UEFI", **fields})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"coloPrimary": True}, "coloPrimary"),
        ({"addons": {"userDefinedXml": "eA=="}}, "addons.userDefinedXml"),
        ({"addons": {"qemuCommandLine": ["-cpu"]}}, "addons.qemuCommandLine"),
        ({"addons": {"hygonMdevDevice": ["a"]}}, "addons.hygonMdevDevice"),
        ({"addons": {"vhostSrcPath": "/s"}}, "addons.vhostSrcPath"),
        ({"usbRedirect": True, "consoleMode": "vnc"}, "usbRedirect"),
        ({"vmCpuVendorId": "AuthenticAMD"}, "vmCpuVendorId"),
        ({"rootVolume": {"installPath": "/a"}}, "rootVolume.deviceType"),
        ({"rootVolume": root(deviceType="quorum")}, "rootVolume.deviceType"),
        ({"nics": [{"bridgeName": "b", "type": "MACVLAN"}]}, "nics[0].type"),
        (
            {"nics": [{"bridgeName": "b", "extraPciDeviceAddresses": ["0000:5e:00.1"]}]},
            "nics[0].extraPciDeviceAddresses",
        ),
        ({"cdRoms": [{"path": "cbd:a/b/c"}]}, "cdRoms[0].path"),
        ({"cdRoms": [{"path": "/iso", "isEmpty": True}]}, "cdRoms[0].isEmpty"),
        ({"bootMode": "BIOS"}, "bootMode"),
        ({"bootMode": "Legacy", "imageArchitecture": "aarch64"}, "bootMode"),
        ({"imageArchitecture": "loongarch64"}, "imageArchitecture"),
        ({"imageArchitecture": "x86_64", "architecture": "aarch64"}, "architecture"),
        ({"addons": {"systemVirtioDriverDeviceType": "USB"}}, "addons.systemVirtioDriverDeviceType"),
        ({"addons": {"ioThreadNum": 10**9}}, "addons.ioThreadNum"),
        (
            {"bootMode": "UEFI", "secureBoot": True, "nvRam": {"installPath": "/dev/vg/nvram"}},
            "nvRam.installPath",
        ),
        ({"rootVolume": root(deviceAddress={**PCI, "slot": "five"})}, "rootVolume.deviceAddress.slot"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_carried_out_is_one_problem_with_its_path(fields: dict[str, Any], path: str) -> None:
    (problem,) = problems_of(**fields)
    assert problem.startswith(path + " ")
