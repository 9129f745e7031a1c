# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges of the hypervisor, those of the kernel and those of Open vSwitch, and which network devices are in them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .bridge_ports import Ports, bridged, is_openvswitch
from .system import HostSystem, System

_SECONDS = 15
_OVS_VSCTL = ("ovs-vsctl", "--timeout=5")
_NO_SUCH_BRIDGE = 2
_DISCARD_PORT = 9


class BridgePorts:
    """Looks up which bridges the NICs of running VMs are in. Open vSwitch is asked once for all of them."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._asked = False
        self._openvswitch: Optional[Mapping[str, str]] = None

    def of(self, live: etree._Element) -> Ports:
        """Return the bridges that the devices of a running domain are in; nothing by a remote URI."""
        ports: dict[str, Optional[str]] = {}
        if self._system.is_remote:
            return ports
        for nic, device, _bridge in bridged(live):
            path = "/sys/class/net/" + device
            if self._system.files.link_name(path) is None:
                ports[device] = None
            elif not is_openvswitch(nic):
                ports[device] = self._system.files.link_name(path + "/master") or ""
            else:
                known = self._openvswitch_ports(self._system)
                if known is not None:
                    ports[device] = known.get(device, "")
        return ports

    def _openvswitch_ports(self, system: HostSystem) -> Optional[Mapping[str, str]]:
        """Return the bridge of each port, None if Open vSwitch doesn't answer."""
        with self._lock:
            if not self._asked:
                self._asked = True
                try:
                    self._openvswitch = _list_openvswitch_ports(system)
                except VmError:
                    self._openvswitch = None
            return self._openvswitch


def _list_openvswitch_ports(system: HostSystem) -> dict[str, str]:
    lists = ["--", "--columns=_uuid,name", "list", "Port", "--", "--columns=name,ports", "list", "Bridge"]
    output = _ovs_vsctl(system, "--format=json", *lists)
    ports, bridges = (json.loads(line)["data"] for line in output.splitlines())
    names = {identity[1]: name for identity, name in ports}
    return {names[identity[1]]: bridge for bridge, held in bridges for identity in _members(held)}


def _members(value: Sequence[Any]) -> Sequence[Any]:
    """Return the members of a set as OVSDB writes it in JSON: one alone stands for itself."""
    return value[1] if value[0] == "set" else [value]


def openvswitch_bridge_exists(system: HostSystem, name: str) -> bool:
    """Return whether Open vSwitch has a bridge of that name. Raises C(openvswitch_failed) when it doesn't answer."""
    done = system.processes.run([*_OVS_VSCTL, "br-exists", name], _SECONDS)
    if done.returncode not in (0, _NO_SUCH_BRIDGE):
        raise _failed(done.stderr)
    return done.returncode == 0


def is_neighbour(system: HostSystem, address: str, mac: str) -> bool:
    """Return whether a machine with that MAC address answers at an address of one of the hypervisor's own networks."""
    _probe(address)
    output = system.processes.run(["ip", "neighbour", "show", "to", address], _SECONDS).stdout.lower()
    return any("lladdr %s " % mac.lower() in line and line.split()[-1] == "reachable" for line in output.splitlines())


def _probe(address: str) -> None:
    """Send a packet to an address, so that the kernel resolves its MAC address (again)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.sendto(b"", (address, _DISCARD_PORT))


def connect_port(system: HostSystem, nic: etree._Element, vm_uuid: str, device: str, bridge: str) -> None:
    """Connect the device of a running NIC to a bridge as libvirt does at a start; without a bridge, disconnect it."""
    if is_openvswitch(nic):
        _ovs_vsctl(system, *_openvswitch_port(nic, vm_uuid, device, bridge))
        return
    _ip(system, "link", "set", "dev", device, *(("master", bridge) if bridge else ("nomaster",)))
    if bridge and nic.find('port[@isolated="yes"]') is not None:
        _ip(system, "link", "set", "dev", device, "type", "bridge_slave", "isolated", "on")


def _openvswitch_port(nic: etree._Element, vm_uuid: str, device: str, bridge: str) -> list[str]:
    remove = ["--", "--if-exists", "del-port", device]
    if not bridge:
        return remove
    known_by = {
        "attached-mac": nic.find("mac").get("address"),
        "iface-id": nic.find("virtualport/parameters").get("interfaceid"),
        "vm-id": vm_uuid,
        "iface-status": "active",
    }
    names = ['external-ids:%s="%s"' % item for item in known_by.items()]
    return [*remove, "--", "add-port", bridge, device, *_vlan(nic), "--", "set", "Interface", device, *names]


def _vlan(nic: etree._Element) -> list[str]:
    tags = nic.findall("vlan/tag")
    if not tags:
        return []
    native = next((tag for tag in tags if tag.get("nativeMode")), None)
    if native is None and nic.find('vlan[@trunk="yes"]') is None:
        return ["tag=" + tags[0].get("id")]
    settings = ["trunks=" + ",".join(tag.get("id") for tag in tags)]
    if native is not None:
        settings += ["tag=" + native.get("id"), "vlan_mode=native-" + native.get("nativeMode")]
    return settings


def _ovs_vsctl(system: HostSystem, *arguments: str) -> str:
    done = system.processes.run([*_OVS_VSCTL, *arguments], _SECONDS)
    if done.returncode != 0:
        raise _failed(done.stderr)
    return done.stdout


def _failed(stderr: str) -> VmError:
    return VmError("openvswitch_failed", "cannot query Open vSwitch: %s" % stderr.strip().partition("\n")[0])


def _ip(system: HostSystem, *arguments: str) -> None:
    done = system.processes.run(["ip", *arguments], _SECONDS)
    if done.returncode != 0:
        raise VmError("command_failed", "ip %s: %s" % (" ".join(arguments), done.stderr.strip()))
