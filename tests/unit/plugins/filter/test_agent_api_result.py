# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of the agent API for a VM that was to be started."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.agent_api_result import FilterModule

agent_api_result = FilterModule().filters()["agent_api_result"]


NOTHING: dict[str, Any] = {"nicInfos": [], "virtualDeviceInfoList": [], "memBalloonInfo": {}, "virtualizerInfo": {}}
DOMAIN = """<domain type='kvm' id='7'><uuid>3553ae6f-f322-2bfd-c0ac-c5bd6e37749d</uuid><devices>
<disk type='file' device='disk'><serial>f0</serial>
<address type='drive' controller='0' bus='0' target='0' unit='1'/></disk>
<disk type='file' device='cdrom'/>
<interface type='bridge'><mac address='fa:00:00:00:00:01'/>
<address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></interface>
<memballoon model='virtio'><address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></memballoon>
</devices></domain>"""


def pci(slot: str) -> dict[str, Any]:
    return {"deviceAddress": {"type": "pci", "domain": "0x0000", "bus": "0x00", "slot": slot, "function": "0x0"}}


def failure(code: str) -> dict[str, Any]:
    error = {"code": code, "message": "there is no bridge br1", "hint": "Create it."}
    return {"failed": True, "msg": "1 of 1 VMs failed", "vms": [{"error": error}]}


def test_a_vm_that_was_started() -> None:
    assert agent_api_result({"failed": False, "vms": [{"name": "web"}]}) == {"success": True, "error": ""}


def test_a_vm_that_failed_has_message_and_hint() -> None:
    expected = {"success": False, "error": "there is no bridge br1 (Create it.)", **NOTHING}
    assert agent_api_result(failure("bridge_missing")) == expected


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("not_enough_memory", "No enough physical memory for guest"),
        ("qos_limit", "QoS exceed max limit, please check and reset it in zstack"),
    ],
)
def test_the_management_node_gets_the_agents_texts(code: str, text: str) -> None:
    assert agent_api_result(failure(code))["error"] == text


@pytest.mark.parametrize("how", ["failed", "unreachable"])
def test_a_task_that_failed_earlier_has_its_message(how: str) -> None:
    assert agent_api_result({how: True, "msg": "no route to host"}) == {
        "success": False,
        "error": "no route to host",
        **NOTHING,
    }


def test_a_running_vm_has_the_addresses_that_the_management_node_records() -> None:
    printed = "QEMU emulator version 6.2.0 (qemu-kvm-6.2.0-451.el8)\nCopyright (c) 2003-2021"
    answer = agent_api_result({"failed": False}, DOMAIN, printed, "edk2-ovmf-20220126-2.el8.noarch\n")

    assert answer == {
        "success": True,
        "error": "",
        "nicInfos": [{"macAddress": "fa:00:00:00:00:01", **pci("0x03")}],
        "virtualDeviceInfoList": [
            {
                "resourceUuid": "f0",
                "deviceAddress": {"type": "drive", "controller": "0", "bus": "0", "target": "0", "unit": "1"},
            },
            {},
        ],
        "memBalloonInfo": pci("0x05"),
        "virtualizerInfo": {
            "uuid": "3553ae6ff3222bfdc0acc5bd6e37749d",
            "virtualizer": "qemu-kvm",
            "version": "6.2.0-451.el8",
        },
        "vmXml": DOMAIN,
        "edkRpm": "edk2-ovmf-20220126-2.el8.noarch",
    }


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("QEMU emulator version 7.2.0", "7.2.0"),
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", "1:7.2+dfsg-7"),
        ("", ""),
    ],
)
def test_the_version_is_what_qemu_prints_in_brackets_or_the_number(printed: str, version: str) -> None:
    assert agent_api_result({}, DOMAIN, printed)["virtualizerInfo"]["version"] == version
