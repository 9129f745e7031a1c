# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contradictions between the options of a NIC, each with its path."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID

VF = {"pci_device_address": "5e:02.1", "mac": "fa:00:00:00:00:01"}
BRIDGE = {"bridge_name": "br0"}
OVS = {"bridge_name": "br0", "bridge_type": "openvswitch"}


def problems(nic: dict[str, Any], **vm: Any) -> list[str]:
    """Return the problems of a VM with one NIC, without the path of the NIC."""
    options = {"uuid": UUID, "name": "vm", "memory": "1GiB", "cpu_num": 1, "root_volume": {"install_path": "/root"}}
    found = parse_vms([{**options, "nics": [nic], **vm}])[1]
    return [str(problem).removeprefix("vms[0].nics[0].") for problem in found]


@pytest.mark.parametrize(
    "nic",
    [
        BRIDGE,
        {"network_name": "default"},
        {**BRIDGE, "queues": 4, "rx_queue_size": 512, "tx_queue_size": 256, "mtu": 9000, "isolated": True},
        {**BRIDGE, "clean_traffic": True, "ips": ["10.0.0.5", "fd00::5"]},
        {**BRIDGE, "model": "e1000", "queues": 1},
        {**OVS, "isolated": False, "clean_traffic": False},
        {**VF, "vlan_id": 30, "qos": {"inbound_bandwidth": 8192}},
        {**VF, "link_state": "up", "queues": 1, "isolated": False, "ip": ""},
    ],
)
def test_what_goes_together_is_no_problem(nic: dict[str, Any]) -> None:
    assert problems(nic) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("network_name", "default"),
        ("model", "virtio"),
        ("link_state", "down"),
        ("queues", 2),
        ("rx_queue_size", 512),
        ("tx_queue_size", 256),
        ("isolated", True),
        ("ip", "10.0.0.5"),
        ("interface_id", UUID),
    ],
)
def test_a_virtual_function_has_no_options_of_a_port(name: str, value: Any) -> None:
    reason = "cannot be used with pci_device_address: the virtual function is passed through as it is"
    assert problems({**VF, name: value}) == [f"{name}: {reason}"]


def test_a_wrong_address_of_a_virtual_function_is_one_problem() -> None:
    (problem,) = problems({**VF, "pci_device_address": "first"})
    assert problem.startswith("pci_device_address: ")


@pytest.mark.parametrize(
    ("nic", "problem"),
    [
        ({}, "bridge_name: is required"),
        ({**BRIDGE, "network_name": "default"}, "network_name: cannot be used with bridge_name"),
        (
            {"network_name": "default", "bridge_type": "openvswitch"},
            "network_name: cannot be used with bridge_type openvswitch",
        ),
        ({**BRIDGE, "vlan_id": 5}, "vlan_id: needs bridge_type openvswitch"),
        (
            {**OVS, "clean_traffic": True},
            "clean_traffic: cannot be used with bridge_type openvswitch: "
            "libvirt does not filter traffic through Open vSwitch",
        ),
        (
            {**OVS, "isolated": True},
            "isolated: cannot be used with bridge_type openvswitch: only ports of a kernel bridge can be isolated",
        ),
        (
            {**BRIDGE, "address": {"type": "drive", "controller": 0, "bus": 0, "target": 0, "unit": 0}},
            "address.type: must be pci for a NIC",
        ),
    ],
)
def test_what_excludes_each_other_is_a_problem(nic: dict[str, Any], problem: str) -> None:
    assert problems(nic) == [problem]


@pytest.mark.parametrize(("name", "value"), [("queues", 2), ("rx_queue_size", 512), ("tx_queue_size", 256)])
def test_queues_are_those_of_virtio(name: str, value: int) -> None:
    assert problems({**BRIDGE, "model": "e1000", name: value}) == [f"{name}: needs a virtio NIC, not e1000"]
    assert problems({**BRIDGE, name: value}, use_virtio=False) == [f"{name}: needs a virtio NIC, not e1000"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("mtu", 67), ("mtu", 65522), ("queues", 0), ("queues", 257), ("rx_queue_size", 100), ("tx_queue_size", 2048)],
)
def test_a_number_beyond_its_bounds_is_a_problem(name: str, value: int) -> None:
    (problem,) = problems({**BRIDGE, name: value})
    assert problem.startswith(f"{name}: {value} ")
