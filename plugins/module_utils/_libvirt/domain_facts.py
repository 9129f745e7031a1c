# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain's XML tells about its VM. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.metadata import ZSTACK_NAMESPACE
from .._host.bridge_ports import Ports, is_connected

_KIB = 1024
_AGENT_CHANNEL = 'devices/channel/target[@name="org.qemu.guest_agent.0"][@state="connected"]'


def identity(domain: etree._Element) -> dict[str, Any]:
    """What the VM is called, by whom, and how big it is."""
    processors = domain.find("vcpu")
    return {
        "name": domain.findtext("description") or domain.findtext("name"),
        "domain_name": domain.findtext("name"),
        "metadata": zstack_metadata(domain),
        "memory": int(domain.findtext("currentMemory") or domain.findtext("memory")) * _KIB,
        "cpus": int(processors.get("current") or processors.text),
    }


def zstack_metadata(domain: etree._Element) -> dict[str, Any]:
    """What ZStack's agent finds again in a domain, by the names of a VM's options."""
    zstack = domain.find("metadata/{%s}zstack" % ZSTACK_NAMESPACE)
    found = {} if zstack is None else {etree.QName(item).localname: item.text for item in zstack.iterchildren("*")}
    number = (found.get("internalId") or "").strip()
    return {
        "internal_id": int(number) if number.isdigit() else None,
        "host_management_ip": found.get("hostManagementIp"),
    }


def disks(domain: etree._Element) -> list[dict[str, Any]]:
    """The disks and drives; C(source) is None for a drive that is empty."""
    return [
        {
            "target": _attribute(disk, "target", "dev"),
            "device": disk.get("device") or "disk",
            "source": _source(disk),
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
    """The network cards; C(device) is the one of the hypervisor that a running VM has, C(ports) says where it is."""
    found = []
    for nic in domain.iterfind("devices/interface"):
        bridge = (_attribute(nic, "source", attribute) for attribute in ("bridge", "network", "dev"))
        found.append(
            {
                "mac": _attribute(nic, "mac", "address"),
                "type": nic.get("type"),
                "bridge": next(filter(None, bridge), None),
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
    """Whether the agent of a running guest has its channel open."""
    return live.find(_AGENT_CHANNEL) is not None


def arp_answer(live: etree._Element, table: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What an ARP table, the addresses of each MAC address, has of a domain, the way that libvirt tells it."""
    return {
        nic["device"] or nic["mac"]: {
            "hwaddr": nic["mac"],
            "addrs": [{"addr": address, "prefix": 0} for address in table.get(nic["mac"].lower(), ())],
        }
        for nic in nics(live, {})
        if nic["mac"]
    }


def merge_addresses(answers: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The addresses of a guest, each once, from what libvirt says by source; the first source of one is kept.

    Those of loopback are left out.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for source, interfaces in answers.items():
        for name, interface in interfaces.items():
            for each in interface.get("addrs") or ():
                if ipaddress.ip_address(each["addr"].partition("%")[0]).is_loopback:
                    continue
                entry = {
                    "address": each["addr"],
                    "prefix": each["prefix"] if source != "arp" else None,
                    "mac": interface.get("hwaddr"),
                    "interface": name,
                    "source": source,
                }
                found.setdefault((each["addr"], str(interface.get("hwaddr")).lower()), entry)
    return list(found.values())
