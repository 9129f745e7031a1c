# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs of a running domain whose device on the hypervisor is no longer in its bridge. Pure.

libvirt puts the device into the bridge when the VM starts and does not look again: when a bridge is deleted and created
again under a running VM, the live XML stays the same and the guest has no network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

# The bridge that each network device is in: empty for none, None if the device itself is gone. What is not known
# is left out.
Ports = Mapping[str, Optional[str]]


def bridged(live: etree._Element) -> Iterator[tuple[etree._Element, str, str]]:
    """Yield each NIC that libvirt has put into a bridge, with its device and that bridge."""
    for nic in live.iterfind("devices/interface"):
        source, target = nic.find("source"), nic.find("target")
        device, bridge = (
            None if element is None else element.get(name) for element, name in ((target, "dev"), (source, "bridge"))
        )
        if device and bridge:
            yield nic, device, bridge


def is_openvswitch(nic: etree._Element) -> bool:
    """Return whether the bridge of a NIC is one of Open vSwitch."""
    return nic.find('virtualport[@type="openvswitch"]') is not None


def is_connected(nic: etree._Element, ports: Ports) -> Optional[bool]:
    """Return whether the device of a running NIC is in its bridge, None if that is not known."""
    source, target = nic.find("source"), nic.find("target")
    if source is None or target is None or target.get("dev") not in ports:
        return None
    return ports[target.get("dev")] == source.get("bridge")


def stray_warnings(live: etree._Element, ports: Ports) -> list[str]:
    """Return a warning for each NIC whose device is not in its bridge."""
    return [
        "the NIC %s is not in its bridge %s%s" % (device, bridge, _whereabouts(ports[device]))
        for nic, device, bridge in bridged(live)
        if is_connected(nic, ports) is False
    ]


def _whereabouts(bridge: Optional[str]) -> str:
    if bridge is None:
        return ": the device is gone"
    return ", but in %s" % (bridge or "none")


def show_strays(live: etree._Element, ports: Ports) -> None:
    """Write into C(live), a copy of a running domain, the bridge that each NIC is really in.

    A NIC on a libvirt network that is not in its bridge is on no network.
    """
    for nic, device, _bridge in list(bridged(live)):
        if is_connected(nic, ports) is not False:
            continue
        source, actual = nic.find("source"), ports[device]
        if source.get("network"):
            nic.set("type", "network")
            source.attrib.clear()
        elif nic.get("type") == "bridge":
            del source.attrib["bridge"]
            if actual:
                source.set("bridge", actual)
