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
from .address import add_address
from .context import BuildContext
from .elements import add
from .hostdev import add_host_pci_address

# The filter of every NIC with clean_traffic or an address.
NIC_FILTER = "clean-traffic"

# Of a NIC with several queues, or queues of another size, as ZStack's agent writes them.
QUEUE_SETTINGS = {"name": "vhost", "txmode": "iothread", "ioeventfd": "on", "event_idx": "off"}

_BITS_PER_KIB = 8 * 1024


def add_interfaces(devices: etree._Element, context: BuildContext) -> None:
    """Add the NICs in the order given."""
    for index, nic in enumerate(context.vm.nics):
        _add_interface(devices, nic, context, context.boot.nics.get(index))


def is_filtered(nic: Nic) -> bool:
    """Return whether a NIC gets the filter, which has IPv4 only: not one that has no IPv4 address among others."""
    if nic.pci_device_address or not (nic.ip if nic.clean_traffic is None else nic.clean_traffic):
        return False
    return not nic.ips or bool(nic.ip) or _filter_address(nic) is not None


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
        if ":" in nic.ip and is_filtered(nic)
    ]


def _filter_address(nic: Nic) -> Optional[str]:
    """Return the address that the filter allows, the last one as in ZStack; None for the one that the guest uses."""
    addresses = [address for address in (nic.ip, *nic.ips) if address and ":" not in address]
    return addresses[-1] if addresses else None


def _add_interface(devices: etree._Element, nic: Nic, context: BuildContext, boot: Optional[int]) -> None:
    element = add(devices, "interface", type=_kind(nic))
    add(element, "mac", address=nic.mac)
    if nic.pci_device_address:
        _add_virtual_function(element, nic, nic.pci_device_address, context)
    else:
        _add_bridged(element, nic, context)
    if nic.qos:
        _add_bandwidth(element, nic.qos)
    if boot is not None:
        add(element, "boot", order=str(boot))
    add_address(element, nic.address)


def _kind(nic: Nic) -> str:
    if nic.pci_device_address:
        return "hostdev"
    return "bridge" if nic.bridge_name else "network"


def _add_virtual_function(element: etree._Element, nic: Nic, address: str, context: BuildContext) -> None:
    """Add the source, which libvirt detaches from its host driver and gives back afterwards."""
    element.set("managed", "yes")
    add_host_pci_address(add(element, "source"), address, type="pci")
    add(element, "driver", name="vfio")
    if nic.vlan_id:
        add(add(element, "vlan"), "tag", id=str(nic.vlan_id))
    ineffective = [name for name, given in (("clean_traffic", nic.clean_traffic), ("qos", nic.qos)) if given]
    for name in ineffective:
        context.warnings.append(
            "%s.%s has no effect: libvirt sees none of the traffic of a virtual function" % (nic.option_path, name)
        )


def _add_bridged(element: etree._Element, nic: Nic, context: BuildContext) -> None:
    add(element, "source", **{_kind(nic): nic.bridge_name or nic.network_name or ""})
    if nic.bridge_type == "openvswitch":
        _add_virtual_port(element, nic)
    if nic.nic_internal_name:
        add(element, "target", dev=nic.nic_internal_name)
    add(element, "model", type=nic.model or ("virtio" if context.vm.use_virtio else "e1000"))
    _add_queues(element, nic)
    if nic.mtu:
        add(element, "mtu", size=str(nic.mtu))
    if nic.link_state == "down":
        add(element, "link", state="down")
    if nic.isolated is not None and nic.bridge_type == "linux":
        add(element, "port", isolated="yes" if nic.isolated else "no")
    if is_filtered(nic):
        filterref = add(element, "filterref", filter=NIC_FILTER)
        allowed = _filter_address(nic) or nic.ip
        if allowed:
            add(filterref, "parameter", name="IP", value=allowed)
    elif nic.clean_traffic:
        context.warnings.append(
            "%s.clean_traffic has no effect: the filter %s has IPv4 only, and the NIC has no IPv4 address"
            % (nic.option_path, NIC_FILTER)
        )


def _add_queues(element: etree._Element, nic: Nic) -> None:
    """Add several queues, or queues of another size, with the settings of ZStack's agent."""
    sizes = {"rx_queue_size": nic.rx_queue_size, "tx_queue_size": nic.tx_queue_size}
    given = {name: str(size) for name, size in sizes.items() if size}
    if nic.queues > 1:
        given["queues"] = str(nic.queues)
    if given:
        add(element, "driver", **QUEUE_SETTINGS, **given)


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
