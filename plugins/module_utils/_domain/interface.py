# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(interface): network cards."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.vm import Nic, NicQos, Vm
from .context import BuildContext
from .elements import add

# The filter of every NIC with an address.
NIC_FILTER = "clean-traffic"

_BITS_PER_KIB = 8 * 1024


def add_interfaces(devices: etree._Element, context: BuildContext) -> None:
    """Add the NICs in the order given."""
    for index, nic in enumerate(context.vm.nics):
        _add_interface(devices, nic, context.vm.use_virtio, context.boot.nics.get(index))


def filter_problems(vm: Vm) -> list[Problem]:
    """Return NICs whose filter libvirt would accept in the definition and fail to set up."""
    return [
        Problem(
            "%s.ip" % nic.option_path,
            "%s is an IPv6 address, and the filter %s, which every NIC with an address gets, has IPv4 only"
            % (nic.ip, NIC_FILTER),
            hint="leave ip empty for a NIC without the filter",
        )
        for nic in vm.nics
        if ":" in nic.ip
    ]


def _add_interface(devices: etree._Element, nic: Nic, use_virtio: bool, boot: Optional[int]) -> None:
    kind, name = ("bridge", nic.bridge_name) if nic.bridge_name else ("network", nic.network_name)
    element = add(devices, "interface", type=kind)
    add(element, "mac", address=nic.mac)
    add(element, "source", **{kind: name or ""})
    if nic.bridge_type == "openvswitch":
        _add_virtual_port(element, nic)
    if nic.nic_internal_name:
        add(element, "target", dev=nic.nic_internal_name)
    add(element, "model", type="virtio" if use_virtio else "e1000")
    if nic.ip:
        filterref = add(element, "filterref", filter=NIC_FILTER)
        add(filterref, "parameter", name="IP", value=nic.ip)
    if nic.qos:
        _add_bandwidth(element, nic.qos)
    if boot is not None:
        add(element, "boot", order=str(boot))


def _add_virtual_port(element: etree._Element, nic: Nic) -> None:
    port = add(element, "virtualport", type="openvswitch")
    if nic.interface_id:
        add(port, "parameters", interfaceid=nic.interface_id)
    if nic.vlan_id:
        add(add(element, "vlan"), "tag", id=str(nic.vlan_id))


def _add_bandwidth(element: etree._Element, qos: NicQos) -> None:
    """Add averages in KiB/s; libvirt's minimum is 1."""
    limits = [("inbound", qos.inbound_bandwidth), ("outbound", qos.outbound_bandwidth)]
    given = [(tag, bits) for tag, bits in limits if bits is not None]
    if given:
        bandwidth = add(element, "bandwidth")
        for tag, bits in given:
            add(bandwidth, tag, average=str(max(1, bits // _BITS_PER_KIB)))
