# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges as files of systemd-networkd."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Optional

from desired import Bridge, vlan_device
from host import Devices, run

DIRECTORY = Path("/etc/systemd/network")
_DIRECTORIES = (DIRECTORY, Path("/run/systemd/network"), Path("/usr/lib/systemd/network"), Path("/lib/systemd/network"))
_LINKS = Path("/run/systemd/netif/links")
# The first file in the order of names that matches a device is the one that applies.
_PREFIX = "00-zstack-"
_HEADER = "# Written by the role zstack.kvm.networks\n"
_DROP_IN = "zstack-vlans.conf"
_NO_ADDRESSES = "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
_SECTION = re.compile(r"^\s*\[(\w+)\]\s*$")
_STACKED = re.compile(r"^\s*(Bridge|Bond|VLAN|VRF|MACVLAN|MACVTAP|IPVLAN|VXLAN)\s*=")


class Networkd:
    """The systemd-networkd of the hypervisor."""

    name = "systemd-networkd"
    mode = 0o644

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._files = dict(_read_all())
        applied = {name: _applied_file(device.index) for name, device in devices.items()}
        # It may have been removed since.
        self._applied = {name: path if Path(path) in self._files else "" for name, path in applied.items()}

    def problems(self, bridge: Bridge) -> Iterator[str]:
        """Yield what keeps systemd-networkd from creating a bridge without loss."""
        port, existing = self._devices.get(bridge.port or ""), self._devices.get(bridge.name)
        if port is not None and port.master != bridge.name and port.addresses and not self._applied[port.name]:
            message = (
                "%s.move_addresses: the addresses of %s are not from a file of systemd-networkd, which cannot move them"
            )
            yield message % (bridge.path, port.name)
        if existing is not None and existing.addresses and not self._applied[bridge.name]:
            message = "%s.name: the addresses of %s are not from a file of systemd-networkd, which would remove them"
            yield message % (bridge.path, bridge.name)
        uplink = bridge.uplink or ""
        applied = os.path.basename(self._applied.get(uplink) or "")
        if bridge.vlan is None and applied and applied < _network_file(uplink).name:
            message = "%s.uplink: the file %s of systemd-networkd would apply to %s before the role's: rename it"
            yield message % (bridge.path, self._applied[uplink], uplink)

    def files(self, bridges: list[Bridge]) -> dict[Path, str]:
        """Return the desired files of bridges that are not from other files already."""
        bridges = [bridge for bridge in bridges if not self._is_foreign(bridge)]
        found: dict[Path, str] = {}
        for bridge in bridges:
            found.update(self._files_of(bridge))
        for uplink in sorted({bridge.uplink for bridge in bridges if bridge.uplink is not None}):
            found.update(self._uplink_file(uplink, bridges))
        return found

    def apply(self, bridges: list[Bridge]) -> None:
        """Have systemd-networkd read its files."""
        run("networkctl", "reload")

    def restore(self, bridges: list[Bridge]) -> None:
        """Have systemd-networkd read its files, and configure the devices again that it may have given up."""
        run("networkctl", "reload")
        devices = {bridge.uplink for bridge in bridges} | {bridge.port for bridge in bridges}
        for name in sorted(device for device in devices if self._applied.get(device or "")):
            run("networkctl", "reconfigure", str(name))

    def _is_foreign(self, bridge: Bridge) -> bool:
        """Return whether somebody else's files create the bridge and have its port in it."""
        port = self._devices.get(bridge.port or "")
        if bridge.name not in self._devices or (port is not None and port.master != bridge.name):
            return False
        created = any(
            re.search(r"^\s*Name\s*=\s*%s\s*$" % re.escape(bridge.name), text, re.MULTILINE)
            for path, text in self._files.items()
            if path.suffix == ".netdev" and not path.name.startswith(_PREFIX)
        )
        return created and (port is None or bool(self._applied[port.name]))

    def _files_of(self, bridge: Bridge) -> Iterator[tuple[Path, str]]:
        port = self._devices.get(bridge.port or "")
        netdev = DIRECTORY / ("%s%s.netdev" % (_PREFIX, bridge.name))
        network = _network_file(bridge.name)
        is_port = port is not None and port.master == bridge.name
        if is_port and netdev in self._files and network in self._files:
            # What the port was like before is no longer known.
            yield netdev, self._files[netdev]
            yield network, self._files[network]
        else:
            mac = "" if port is None else "MACAddress=%s\n" % port.mac
            yield netdev, "%s[NetDev]\nName=%s\nKind=bridge\n%s" % (_HEADER, bridge.name, mac)
            yield network, self._network_of(bridge)
        if bridge.uplink is not None and bridge.vlan is not None:
            name = vlan_device(bridge.uplink, bridge.vlan)
            netdev = DIRECTORY / ("%s%s.netdev" % (_PREFIX, name))
            yield netdev, "%s[NetDev]\nName=%s\nKind=vlan\n\n[VLAN]\nId=%d\n" % (_HEADER, name, bridge.vlan)
            yield _network_file(name), _port_text(name, bridge.name)

    def _network_of(self, bridge: Bridge) -> str:
        port = self._devices.get(bridge.port or "")
        if port is not None and port.addresses:
            return moved(self._text_of(self._applied[port.name]), bridge.name)
        match = "%s[Match]\nName=%s\n\n[Network]\nConfigureWithoutCarrier=yes\n%s"
        return match % (_HEADER, bridge.name, _NO_ADDRESSES)

    def _text_of(self, applied: str) -> str:
        """Return a file with its drop-ins, which say more in later sections."""
        path = Path(applied)
        drop_ins = [
            text
            for file, text in sorted(self._files.items(), key=lambda item: item[0].name)
            if file.parent.name == path.name + ".d" and file.name != _DROP_IN
        ]
        return "\n".join([self._files[path], *drop_ins])

    def _uplink_file(self, uplink: str, bridges: list[Bridge]) -> Iterator[tuple[Path, str]]:
        own = _network_file(uplink)
        bridge = next((each.name for each in bridges if each.uplink == uplink and each.vlan is None), None)
        bridge = bridge or _bridge_in(self._files.get(own, ""))
        desired = {each.port for each in bridges if each.uplink == uplink and each.vlan is not None}
        vlans = "".join("VLAN=%s\n" % name for name in sorted(desired | self._known_vlans(uplink), key=_by_number))
        applied = self._applied.get(uplink) or ""
        if bridge is not None or applied in ("", str(own)):
            yield own, _port_text(uplink, bridge, vlans)
        else:
            path = DIRECTORY / (os.path.basename(applied) + ".d") / _DROP_IN
            yield path, "%s[Network]\n%s" % (_HEADER, vlans)

    def _known_vlans(self, uplink: str) -> set[str]:
        pattern = re.compile(re.escape("%s%s." % (_PREFIX, uplink)) + r"(\d+)\.netdev")
        matches = [pattern.fullmatch(path.name) for path in self._files]
        return {vlan_device(uplink, int(match[1])) for match in matches if match}


def _by_number(name: Optional[str]) -> int:
    return int(str(name).rpartition(".")[2])


def _network_file(device: str) -> Path:
    return DIRECTORY / ("%s%s.network" % (_PREFIX, device))


def _port_text(device: str, bridge: Optional[str], more: str = "") -> str:
    master = "" if bridge is None else "Bridge=%s\n" % bridge
    return "%s[Match]\nName=%s\n\n[Network]\n%s%s%s" % (_HEADER, device, master, _NO_ADDRESSES, more)


def _bridge_in(text: str) -> Optional[str]:
    found = re.search(r"^Bridge=(\S+)$", text, re.MULTILINE)
    return None if found is None else found[1]


def moved(text: str, device: str) -> str:
    """Return the configuration of one device as that of another, without the devices that are stacked on it."""
    kept, section = [], ""
    for line in text.split("\n"):
        heading = _SECTION.match(line)
        section = heading[1] if heading else section
        if section != "Match" and not _STACKED.match(line) and not line.lstrip().startswith(("#", ";")):
            kept.append(line)
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return "%s[Match]\nName=%s\n\n%s\n" % (_HEADER, device, body)


def _applied_file(index: int) -> str:
    """Return the file that applies to a device, empty if none does."""
    try:
        state = (_LINKS / str(index)).read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^NETWORK_FILE=(.+)$", state, re.MULTILINE)
    return "" if found is None else found[1]


def _read_all() -> Iterator[tuple[Path, str]]:
    for directory in _DIRECTORIES:
        for path in (*directory.glob("*.net*"), *directory.glob("*.d/*.conf")):
            if path.is_file():
                yield path, path.read_text(encoding="utf-8", errors="replace")


Files = Mapping[Path, str]
