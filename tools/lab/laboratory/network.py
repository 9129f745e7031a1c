# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network between this machine and its hypervisors: one bridge, one address for each hypervisor."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LabError

_NET = Path("/sys/class/net")
_LINK_PREFIX = "zlab"
_ALIAS_LENGTH = 255  # the kernel's limit
FIRST_ADDRESS = 10
LAST_NUMBER = 240
FREE = ipaddress.IPv4Network("10.97.0.0/16")  # where free() searches


def address(network: ipaddress.IPv4Network, number: int) -> ipaddress.IPv4Address:
    """Return the address of hypervisor hv<number>."""
    return network[FIRST_ADDRESS + number]


def _link_name(owner: ipaddress.IPv4Address) -> str:
    # Unique on this machine for every network and number, and within the kernel's 15 characters.
    return f"{_LINK_PREFIX}{int(owner):08x}"


def _mac(owner: ipaddress.IPv4Address) -> str:
    # Always the same, so that entries in neighbour tables stay valid.
    return ":".join(f"{byte:02x}" for byte in b"\x02\x00" + owner.packed)


def _ip(*arguments: object) -> str:
    command = ["ip", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def alone() -> Iterator[None]:
    """Keep the other laboratories of this machine from changing networks, for instance from free() to connect()."""
    descriptor = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _mark(owner: Path) -> str:
    return str(owner)[-_ALIAS_LENGTH:]


def _alias(link: str) -> Path:
    return _NET / link / "ifalias"


def require(network: ipaddress.IPv4Network, number: int) -> None:
    """Raise LabError, with the name of the laboratory that has the number's address, unless the address is free."""
    link = _alias(_link_name(address(network, number)))
    if link.exists():
        owner = Path(link.read_text(encoding="utf-8").strip())
        raise LabError(
            f"{address(network, number)} belongs to a hypervisor of another laboratory ({owner}): give another "
            f"--network or --first, or remove that one: lab down --dir {owner.parent} {owner.name}"
        )
    overlap = _overlap(network)
    if overlap:
        raise LabError(f"{network} is in use on this machine ({overlap}): give another --network")


def _overlap(network: ipaddress.IPv4Network) -> str:
    """Return a route of this machine with which the network would conflict; empty if there is none."""
    for route in json.loads(_ip("-4", "-json", "route")):
        if route["dst"] == "default":
            continue
        other, device = ipaddress.IPv4Network(route["dst"]), route.get("dev", "")
        if other == network and device == _link_name(network[1]):
            continue  # other laboratories' hypervisors, with numbers of their own
        # A route to a wider network is no conflict: the rest of that network is still reached.
        if other.subnet_of(network) or (network.subnet_of(other) and device.startswith(_LINK_PREFIX)):
            return f"{other} {device}".strip()
    return ""


def free() -> ipaddress.IPv4Network:
    """Return a network that nobody uses; it stays free as long as the caller holds alone()."""
    for network in FREE.subnets(new_prefix=24):
        if not (_NET / _link_name(network[1])).exists() and not _overlap(network):
            return network
    raise LabError(f"no network in {FREE} is free: choose one with --network")


def connect(network: ipaddress.IPv4Network, number: int, pid: int, owner: Path) -> None:
    """Add an eth0 on the laboratory's bridge to the network namespace of process `pid`. Only one caller at a time.

    `owner` is the hypervisor's directory: only it may disconnect again.
    """
    gateway = network[1]
    own = address(network, number)
    bridge, link = _link_name(gateway), _link_name(own)
    if not (_NET / bridge).exists():
        _ip("link", "add", bridge, "address", _mac(gateway), "type", "bridge")
        _ip("address", "add", f"{gateway}/{network.prefixlen}", "dev", bridge)
        _ip("link", "set", bridge, "up")
    _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "address", _mac(own), "netns", pid)
    _alias(link).write_text(_mark(owner), encoding="utf-8")
    _ip("link", "set", link, "master", bridge, "up")


def disconnect(network: ipaddress.IPv4Network, number: int, owner: Path) -> None:
    """Remove the hypervisor's link, and the bridge with the last one; another laboratory's link stays."""
    bridge, link = _link_name(network[1]), _link_name(address(network, number))
    with alone():
        if _alias(link).exists() and _alias(link).read_text(encoding="utf-8").strip() == _mark(owner):
            try:
                _ip("link", "delete", link)
            except LabError:
                # The kernel removes the link itself when the last process of its namespace has ended.
                if (_NET / link).exists():
                    raise
        if (_NET / bridge).exists() and not any((_NET / bridge / "brif").iterdir()):
            _ip("link", "delete", bridge)


def configure(network: ipaddress.IPv4Network, number: int, bridges: tuple[str, ...]) -> None:
    """Bring up lo, eth0 and the bridges that VMs are connected to. Runs inside the hypervisor."""
    _ip("link", "set", "lo", "up")
    _ip("address", "add", f"{address(network, number)}/{network.prefixlen}", "dev", "eth0")
    _ip("link", "set", "eth0", "up")
    for bridge in bridges:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "set", bridge, "up")


def hosts_file(network: ipaddress.IPv4Network, name: str) -> str:
    """Return /etc/hosts of a hypervisor, with every hypervisor that may be started in its network."""
    lines = [f"127.0.0.1 localhost {name}", "::1 localhost"]
    lines += [f"{address(network, number)} hv{number}" for number in range(1, LAST_NUMBER + 1)]
    return "\n".join(lines) + "\n"
