# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired bridges, and the problems of their options alone. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

# The kernel's limit for the name of a network device.
_MOST_CHARACTERS = 15
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Bridge(NamedTuple):
    """A desired bridge. C(path): of its options, for messages."""

    path: str
    name: str
    uplink: Optional[str]
    vlan: Optional[int]
    move_addresses: bool

    @property
    def port(self) -> Optional[str]:
        """Return the device that connects the bridge to the outside: the uplink, or the VLAN device on it."""
        return self.uplink if self.vlan is None else vlan_device(str(self.uplink), self.vlan)


def vlan_device(uplink: str, vlan: int) -> str:
    """Return the name of a VLAN device, as ZStack names it."""
    return "%s.%d" % (uplink, vlan)


def read_bridges(options: list[dict[str, Any]]) -> list[Bridge]:
    """Return the bridges that the options describe, with ZStack's names by default."""
    return [_read(index, each) for index, each in enumerate(options)]


def _read(index: int, options: dict[str, Any]) -> Bridge:
    uplink, vlan = options.get("uplink") or None, options.get("vlan")
    default = "" if uplink is None else "br_%s" % uplink if vlan is None else "br_%s_%d" % (uplink, vlan)
    name = options.get("name") or default
    return Bridge("networks_bridges[%d]" % index, name, uplink, vlan, bool(options.get("move_addresses")))


def option_problems(bridges: list[Bridge]) -> Iterator[str]:
    """Yield the problems of names and numbers, and what two bridges cannot both have."""
    named: dict[str, Bridge] = {}
    ports: dict[str, Bridge] = {}
    for bridge in bridges:
        yield from _own_problems(bridge)
        first = named.setdefault(bridge.name, bridge)
        if first is not bridge:
            yield "%s.name: %s is also the name of %s" % (bridge.path, bridge.name, first.path)
        if bridge.port is not None:
            other = ports.setdefault(bridge.port, bridge)
            if other is not bridge:
                yield "%s.uplink: %s is already in the bridge of %s" % (bridge.path, bridge.port, other.path)


def _own_problems(bridge: Bridge) -> Iterator[str]:
    if bridge.vlan is not None and bridge.uplink is None:
        yield "%s.vlan: needs an uplink" % bridge.path
    if bridge.vlan is not None and not 1 <= bridge.vlan <= 4094:
        yield "%s.vlan: %d is not from 1 to 4094" % (bridge.path, bridge.vlan)
    if bridge.move_addresses and bridge.uplink is None:
        yield "%s.move_addresses: needs an uplink" % bridge.path
    if not bridge.name:
        yield "%s.name: is required without an uplink" % bridge.path
    for option, name in (("name", bridge.name), ("uplink", bridge.uplink), ("vlan", bridge.port)):
        if not name or (option == "vlan" and bridge.vlan is None):
            continue
        if not _NAME.fullmatch(name):
            yield "%s.%s: %r is no name of a network device" % (bridge.path, option, name)
        elif len(name) > _MOST_CHARACTERS:
            message = "%s.%s: the device name %s has more than %d characters: set a shorter name"
            yield message % (bridge.path, option, name, _MOST_CHARACTERS)
