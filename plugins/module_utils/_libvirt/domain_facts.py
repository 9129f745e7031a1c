# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about a VM from its domain's XML. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.metadata import ZSTACK_NAMESPACE
from .._host.bridge_ports import Ports, is_connected
from .._storage.image_chain import chain_of
from ..addresses import parse_address
from ..foreign_text import clean_line

_KIB = 1024
_INTERNAL_ID = re.compile("[0-9]{1,18}")
_AGENT_CHANNEL = 'devices/channel/target[@name="org.qemu.guest_agent.0"][@state="connected"]'


def identity(domain: etree._Element) -> tuple[dict[str, Any], list[str]]:
    """Return the VM's names and size, and warnings about metadata in an unexpected form."""
    processors = domain.find("vcpu")
    metadata, warnings = zstack_metadata(domain)
    identity = {
        "name": clean_line(domain.findtext("description") or domain.findtext("name")),
        "domain_name": domain.findtext("name"),
        "metadata": metadata,
        "memory": int(domain.findtext("currentMemory") or domain.findtext("memory")) * _KIB,
        "cpus": int(processors.get("current") or processors.text),
    }
    return identity, warnings


def label(domain: etree._Element) -> str:
    """Return a domain's name in messages, as C(Vm.label) does."""
    title = domain.findtext("title") or domain.findtext("description") or domain.findtext("name", "")
    return "VM %s (%s)" % (clean_line(title), domain.findtext("uuid", ""))


def zstack_metadata(domain: etree._Element) -> tuple[dict[str, Any], list[str]]:
    """Return the ZStack metadata of a domain by the names of a VM's options, and warnings.

    It is untrusted: anybody who may change the domain may have written it.
    """
    zstack = domain.find("metadata/{%s}zstack" % ZSTACK_NAMESPACE)
    found = {} if zstack is None else {etree.QName(item).localname: item.text for item in zstack.iterchildren("*")}
    number, address = ((found.get(name) or "").strip() for name in ("internalId", "hostManagementIp"))
    metadata = {
        "internal_id": int(number) if _INTERNAL_ID.fullmatch(number) else None,
        "host_management_ip": parse_address(address),
    }
    warnings = []
    if number and metadata["internal_id"] is None:
        warnings.append("the internalId in the metadata of the domain is not a number, and is ignored")
    if address and metadata["host_management_ip"] is None:
        warnings.append("the hostManagementIp in the metadata of the domain is not an address, and is ignored")
    return metadata, warnings


def disks(domain: etree._Element) -> list[dict[str, Any]]:
    """Return the disks and drives; C(source) is None for an empty drive."""
    return [
        {
            "target": _attribute(disk, "target", "dev"),
            "device": disk.get("device") or "disk",
            "source": _source(disk),
            "overlay_of": None,
            "backing_chain": [link.image for link in chain_of(disk)[1:]],
            "format": _attribute(disk, "driver", "type"),
        }
        for disk in domain.iterfind("devices/disk")
    ]


def _source(disk: etree._Element) -> Optional[str]:
    source = disk.find("source")
    if source is None:
        return None
    if disk.get("type") == "network":
        return "%s:%s" % (source.get("protocol"), source.get("name"))
    path = source.get("file") or source.get("dev") or source.get("volume")
    return None if path is None else str(path)


def nics(domain: etree._Element, ports: Ports) -> list[dict[str, Any]]:
    """Return the NICs. C(device) is a running VM's device on the hypervisor, C(ports) has their bridges."""
    found = []
    for nic in domain.iterfind("devices/interface"):
        bridge = (_attribute(nic, "source", attribute) for attribute in ("bridge", "network", "dev"))
        found.append(
            {
                "mac": _attribute(nic, "mac", "address"),
                "type": nic.get("type"),
                "bridge": next(filter(None, bridge), None),
                "network": _attribute(nic, "source", "network"),
                "model": _attribute(nic, "model", "type"),
                "device": _attribute(nic, "target", "dev"),
                "connected": is_connected(nic, ports),
            }
        )
    return found


def _attribute(device: etree._Element, child: str, name: str) -> Optional[str]:
    found = device.find(child)
    return None if found is None else found.get(name)


def has_agent(live: etree._Element) -> bool:
    """Return whether the agent of a running guest has opened its channel."""
    return live.find(_AGENT_CHANNEL) is not None


def arp_answer(live: etree._Element, table: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a domain's entries in an ARP table (addresses by MAC address), in the form that libvirt returns."""
    return {
        nic["device"] or nic["mac"]: {
            "hwaddr": nic["mac"],
            "addrs": [{"addr": address, "prefix": 0} for address in table.get(nic["mac"].lower(), ())],
        }
        for nic in nics(live, {})
        if nic["mac"] is not None
    }
