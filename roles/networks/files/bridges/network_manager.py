# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges as connection profiles of NetworkManager."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

from desired import Bridge, vlan_device
from host import Devices, run

DIRECTORY = Path("/etc/NetworkManager/system-connections")
_PREFIX = "zstack-"
_HEADER = "# Written by the role zstack.kvm.networks\n"
_SECONDS = "60"
_SECTION = re.compile(r"^\s*\[([\w-]+)\]\s*$")
_NO_ADDRESSES = "[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=disabled\n"
# The profiles of a device's own configuration have 0.
_PRIORITY = 100


class Profile(NamedTuple):
    """The active profile of a device. C(external): NetworkManager only shows what somebody else configured."""

    uuid: str
    file: Path
    external: bool


class NetworkManager:
    """The NetworkManager of the hypervisor."""

    name = "NetworkManager"
    mode = 0o600

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._profiles = _active_profiles()

    def problems(self, bridge: Bridge) -> Iterator[str]:
        """Yield what keeps NetworkManager from creating a bridge without loss."""
        port, existing = self._devices.get(bridge.port or ""), self._devices.get(bridge.name)
        if port is not None and port.master != bridge.name:
            option = "%s.%s" % (bridge.path, "uplink" if bridge.vlan is None else "vlan")
            if bridge.vlan is None and port.kind not in ("", "veth"):
                message = "%s: %s is of the kind %s, and with NetworkManager only Ethernet devices are made ports"
                yield message % (option, port.name, port.kind)
            profile = self._profiles.get(port.name)
            if port.addresses and (profile is None or profile.external):
                message = "%s: the addresses of %s are not from a profile of NetworkManager, which cannot move them"
                yield message % (option, port.name)
            elif port.addresses and profile is not None and profile.file.suffix != ".nmconnection":
                message = "%s: the profile of %s is in %s, not in a keyfile: run nmcli connection migrate"
                yield message % (option, port.name, profile.file)
        if existing is not None and existing.addresses and self._is_by_hand(bridge.name):
            message = "%s.name: the addresses of %s are not from a profile of NetworkManager, which would remove them"
            yield message % (bridge.path, bridge.name)

    def files(self, bridges: list[Bridge]) -> dict[Path, str]:
        """Return the desired profiles of bridges that are not from other profiles already."""
        return {
            path: text for bridge in bridges if not self._is_foreign(bridge) for path, text in self._files_of(bridge)
        }

    def apply(self, bridges: list[Bridge]) -> None:
        """Have NetworkManager read its profiles, and activate them: that of a port activates its bridge."""
        run("nmcli", "connection", "reload")
        for bridge in bridges:
            run("nmcli", "--wait", _SECONDS, "connection", "up", "id", _profile_name(bridge.port or bridge.name))

    def restore(self, bridges: list[Bridge]) -> None:
        """Have NetworkManager read its profiles, and activate those that were active before."""
        run("nmcli", "connection", "reload")
        for bridge in bridges:
            profile = self._profiles.get(bridge.port or "")
            if profile is not None and not profile.external:
                run("nmcli", "--wait", _SECONDS, "connection", "up", "uuid", profile.uuid)

    def _is_by_hand(self, device: str) -> bool:
        profile = self._profiles.get(device)
        return profile is None or profile.external

    def _is_foreign(self, bridge: Bridge) -> bool:
        """Return whether somebody else's profiles create the bridge and have its port in it."""
        port, existing = self._devices.get(bridge.port or ""), self._devices.get(bridge.name)
        if existing is None or (port is not None and port.master != bridge.name):
            return False
        names = [bridge.name] if port is None else [bridge.name, port.name]
        return not any(self._is_by_hand(name) or self._profiles[name].file == _file(name) for name in names)

    def _files_of(self, bridge: Bridge) -> Iterator[tuple[Path, str]]:
        port = self._devices.get(bridge.port or "")
        path = _file(bridge.name)
        if port is not None and port.master == bridge.name and path.exists():
            # What the port was like before is no longer known.
            yield path, path.read_text(encoding="utf-8")
        else:
            mac = "" if port is None else "mac-address=%s\n" % port.mac.upper()
            addresses = self._addresses_of(bridge.port)
            yield path, "%s\n[bridge]\n%sstp=false\n\n%s" % (_connection(bridge.name, "bridge"), mac, addresses)
        if bridge.uplink is not None and bridge.vlan is not None:
            name = vlan_device(bridge.uplink, bridge.vlan)
            vlan = "\n[vlan]\nflags=1\nid=%d\nparent=%s\n" % (bridge.vlan, bridge.uplink)
            yield _file(name), _connection(name, "vlan", bridge.name) + vlan
        elif bridge.uplink is not None:
            yield _file(bridge.uplink), _connection(bridge.uplink, "ethernet", bridge.name)

    def _addresses_of(self, port: Optional[str]) -> str:
        device, profile = self._devices.get(port or ""), self._profiles.get(port or "")
        if device is None or not device.addresses or profile is None:
            return _NO_ADDRESSES
        return address_sections(profile.file.read_text(encoding="utf-8"))


def address_sections(text: str) -> str:
    """Return the sections of a profile that have its addresses."""
    kept, section = [], ""
    for line in text.split("\n"):
        heading = _SECTION.match(line)
        section = heading[1] if heading else section
        if section in ("ipv4", "ipv6", "proxy") and line.strip():
            kept.append("\n" + line if heading and kept else line)
    return "\n".join([*kept, ""])


def _connection(device: str, kind: str, master: Optional[str] = None) -> str:
    lines = [
        "[connection]",
        "id=%s" % _profile_name(device),
        "uuid=%s" % uuid.uuid5(uuid.NAMESPACE_DNS, "%s.networks.kvm.zstack" % device),
        "type=%s" % kind,
        "interface-name=%s" % device,
        "autoconnect-priority=%d" % _PRIORITY,
    ]
    lines += [] if master is None else ["master=%s" % master, "slave-type=bridge"]
    return "%s%s\n" % (_HEADER, "\n".join(lines))


def _profile_name(device: str) -> str:
    return _PREFIX + device


def _file(device: str) -> Path:
    return DIRECTORY / ("%s.nmconnection" % _profile_name(device))


def _active_profiles() -> dict[str, Profile]:
    states = dict(_table("--fields", "DEVICE,STATE", "device", "status"))
    active = _table("--fields", "DEVICE,UUID,FILENAME", "connection", "show", "--active")
    return {
        device: Profile(identity, Path(file), "externally" in states.get(device, ""))
        for device, identity, file in active
    }


def _table(*arguments: str) -> list[list[str]]:
    lines = run("nmcli", "--terse", *arguments).splitlines()
    return [[re.sub(r"\\(.)", r"\1", field) for field in re.split(r"(?<!\\):", line)] for line in lines if line]


def manages(device: Optional[str]) -> bool:
    """Return whether NetworkManager manages a device; None stands for those that it creates itself."""
    states = dict(_table("--fields", "DEVICE,STATE", "device", "status"))  # type: ignore[arg-type]
    return device is None or states.get(device, "unmanaged") != "unmanaged"
