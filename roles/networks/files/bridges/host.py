# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network devices of the hypervisor, and what keeps bridges from being created on them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional

from desired import Bridge

# nmcli waits for 60 itself.
_SECONDS = 90
_LOCAL_ADDRESS = re.compile(r"%([^\]:]+)")


class Device(NamedTuple):
    """A network device. C(kind): the kernel's, empty for hardware. C(addresses): those that others can reach."""

    name: str
    index: int
    kind: str = ""
    master: Optional[str] = None
    parent: Optional[str] = None
    vlan: Optional[int] = None
    mac: str = ""
    addresses: tuple[str, ...] = ()
    is_loopback: bool = False


Devices = Mapping[str, Device]


class CommandError(Exception):
    """A program that failed; the text says which, and why."""


def run(*argv: str) -> str:
    """Return the output of a program in the C locale. Raise CommandError if it fails."""
    environment = {**os.environ, "LC_ALL": "C"}
    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(
            argv,
            stdin=nothing,
            capture_output=True,
            timeout=_SECONDS,
            text=True,
            errors="replace",
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError("cannot run %s: %s" % (argv[0], error)) from error
    if done.returncode != 0:
        raise CommandError("%s: %s" % (" ".join(argv), (done.stderr or done.stdout).strip()))
    return done.stdout


def find_devices() -> dict[str, Device]:
    """Return the network devices by name."""
    return parse_devices(json.loads(run("ip", "-json", "-details", "address", "show")))


def parse_devices(found: list[dict[str, Any]]) -> dict[str, Device]:
    """Return the devices in the output of C(ip -json -details address show)."""
    return {each["ifname"]: _device(each) for each in found if each}


def _device(found: dict[str, Any]) -> Device:
    link = found.get("linkinfo", {})
    addresses = ["%s/%d" % (each["local"], each["prefixlen"]) for each in _reachable(found.get("addr_info", ()))]
    return Device(
        found["ifname"],
        found["ifindex"],
        link.get("info_kind", ""),
        found.get("master"),
        found.get("link"),
        link.get("info_data", {}).get("id") if link.get("info_kind") == "vlan" else None,
        found.get("address", ""),
        tuple(sorted(addresses)),
        "LOOPBACK" in found.get("flags", ()),
    )


def _reachable(addresses: Any) -> Iterator[dict[str, Any]]:
    # The kernel replaces temporary addresses (RFC 8981) by others as it likes.
    return (each for each in addresses if each.get("scope") == "global" and not each.get("temporary"))


def devices_of_local_connections() -> set[str]:
    """Return the devices whose link-local address a TCP connection uses."""
    return set(_LOCAL_ADDRESS.findall(run("ss", "--no-header", "--tcp", "--numeric", "-6", "state", "established")))


def device_problems(bridges: list[Bridge], devices: Devices, in_use: set[str]) -> Iterator[str]:
    """Yield what keeps bridges from being created. C(in_use): devices whose link-local address a connection uses."""
    for bridge in bridges:
        existing = devices.get(bridge.name)
        if existing is not None and existing.kind != "bridge":
            message = "%s.name: the hypervisor has another device %s, %s: remove or rename it, or set another name"
            yield message % (bridge.path, bridge.name, _described(existing))
        if bridge.uplink is not None:
            yield from _uplink_problems(bridge, bridge.uplink, devices)
        port = devices.get(bridge.port or "")
        if port is not None and port.master != bridge.name:
            yield from _port_problems(bridge, port, devices, in_use)


def _uplink_problems(bridge: Bridge, name: str, devices: Devices) -> Iterator[str]:
    uplink, option = devices.get(name), "%s.uplink" % bridge.path
    if uplink is None:
        yield "%s: the hypervisor has no network device %s" % (option, name)
    elif uplink.is_loopback:
        yield "%s: %s is the loopback device" % (option, name)
    elif bridge.vlan is None and uplink.kind == "bridge":
        yield "%s: %s is a bridge, and a bridge is no port of another" % (option, name)
    elif bridge.vlan is not None:
        master = devices.get(uplink.master or "")
        if master is not None and master.kind != "bridge":
            yield "%s: %s is a port of %s: use that as the uplink" % (option, name, master.name)
        vlan = devices.get(str(bridge.port))
        if vlan is not None and (vlan.kind, vlan.parent, vlan.vlan) != ("vlan", name, bridge.vlan):
            message = "%s.vlan: the hypervisor has another device %s, %s, not VLAN %d of %s"
            yield message % (bridge.path, vlan.name, _described(vlan), bridge.vlan, name)


def _port_problems(bridge: Bridge, port: Device, devices: Devices, in_use: set[str]) -> Iterator[str]:
    option = "%s.%s" % (bridge.path, "uplink" if bridge.vlan is None else "vlan")
    if port.master is not None:
        yield "%s: %s is already a port of %s" % (option, port.name, port.master)
    if port.name in in_use:
        message = "%s: a connection uses the link-local address of %s, and the bridge would cut it: connect by another"
        yield message % (option, port.name)
    if port.addresses and not bridge.move_addresses:
        message = (
            "%s: %s has the addresses %s, by which Ansible may be connected, and would lose them: set "
            "move_addresses to have the bridge take them over"
        )
        yield message % (option, port.name, ", ".join(port.addresses))


def _described(device: Device) -> str:
    if device.kind == "vlan":
        return "VLAN %s of %s" % (device.vlan, device.parent)
    return "of the kind %s" % device.kind if device.kind else "a network card"
