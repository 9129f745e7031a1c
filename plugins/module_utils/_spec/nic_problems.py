# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contradictions between the options of a NIC."""

from __future__ import annotations

from collections.abc import Iterator

from .._errors.errors import Problem
from .option_reader import Part

_NIC_CONNECTIONS = ("bridge_name", "network_name")
_OPENVSWITCH_ONLY = {
    "interface_id": "leave interface_id out, or set bridge_type to openvswitch",
    "vlan_id": "name a bridge whose uplink is in that VLAN, such as br_eth0_100, or set bridge_type to openvswitch",
}
_NOT_OF_OPENVSWITCH = {
    "ip": "libvirt does not filter traffic through Open vSwitch",
    "clean_traffic": "libvirt does not filter traffic through Open vSwitch",
    "isolated": "only ports of a kernel bridge can be isolated",
}
_VIRTIO_ONLY = ("queues", "rx_queue_size", "tx_queue_size")
# With their defaults.
_NOT_OF_VIRTUAL_FUNCTIONS = {
    "network_name": None,
    "model": None,
    "link_state": "up",
    "queues": 1,
    "rx_queue_size": None,
    "tx_queue_size": None,
    "isolated": False,
    "ip": "",
    "interface_id": None,
}


def nic_problems(nic: Part, vm: Part) -> Iterator[Problem]:
    """Yield the problems of one NIC of a VM."""
    if nic.get("pci_device_address") is not None or "pci_device_address" in nic.wrong:
        yield from _virtual_function_problems(nic)
    else:
        yield from _connection_problems(nic)
        yield from _bridge_type_problems(nic)
        yield from _model_problems(nic, vm)
    address = nic.get("address")
    if address is not None and address.get("type") == "drive":
        yield Problem("%s.type" % address.option_path, "must be pci for a NIC")


def _virtual_function_problems(nic: Part) -> Iterator[Problem]:
    for name, omitted in _NOT_OF_VIRTUAL_FUNCTIONS.items():
        if nic.get(name) not in (None, omitted):
            yield Problem(
                "%s.%s" % (nic.option_path, name),
                "cannot be used with pci_device_address: the virtual function is passed through as it is",
                hint="leave it out",
            )


def _connection_problems(nic: Part) -> Iterator[Problem]:
    bridge, network = ("%s.%s" % (nic.option_path, name) for name in _NIC_CONNECTIONS)
    if nic.get("bridge_name") and nic.get("network_name"):
        yield Problem(network, "cannot be used with bridge_name", hint="a NIC is on a bridge or on a libvirt network")
    elif nic.get("network_name") and nic.get("bridge_type") == "openvswitch":
        hint = "leave bridge_type out: the definition of the network says what its bridge is"
        yield Problem(network, "cannot be used with bridge_type openvswitch", hint=hint)
    elif not nic.wrong.intersection(_NIC_CONNECTIONS) and not any(map(nic.get, _NIC_CONNECTIONS)):
        yield Problem(bridge, "is required", hint="or give network_name for a NIC on a libvirt network")


def _bridge_type_problems(nic: Part) -> Iterator[Problem]:
    if nic.get("bridge_type") == "openvswitch":
        for name, reason in _NOT_OF_OPENVSWITCH.items():
            if nic.get(name):
                yield Problem(
                    "%s.%s" % (nic.option_path, name),
                    "cannot be used with bridge_type openvswitch: %s" % reason,
                    hint="leave %s out, and restrict the port with Open vSwitch flows" % name,
                )
    elif nic.get("bridge_type") == "linux":
        for name, hint in _OPENVSWITCH_ONLY.items():
            if nic.get(name) is not None:
                yield Problem("%s.%s" % (nic.option_path, name), "needs bridge_type openvswitch", hint=hint)


def _model_problems(nic: Part, vm: Part) -> Iterator[Problem]:
    model = nic.get("model") or ("e1000" if vm.get("use_virtio") is False else "virtio")
    for name in _VIRTIO_ONLY:
        if model != "virtio" and nic.get(name) not in (None, 1):
            message = "needs a virtio NIC, not %s" % model
            yield Problem("%s.%s" % (nic.option_path, name), message, hint="set model to virtio, or leave it out")
