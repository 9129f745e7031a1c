# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates bridges, or undoes all of it, and prints what it changed.

The arguments are "apply" or "check" (which only prints), and the options of the bridges as JSON. Everything that is
wrong is printed before anything is changed.
"""

from __future__ import annotations

import json
import sys

import network_manager
from desired import Bridge, option_problems, read_bridges
from host import CommandError, Devices, device_problems, devices_of_local_connections, find_devices, run
from network_manager import NetworkManager
from networkd import Networkd
from work import Work

_BUSES = {"systemd-networkd": "org.freedesktop.network1", "NetworkManager": "org.freedesktop.NetworkManager"}
_DBUS = "org.freedesktop.DBus"


def _runs(program: str) -> bool:
    try:
        arguments = [_DBUS, "/org/freedesktop/DBus", _DBUS, "NameHasOwner", "s", _BUSES[program]]
        return run("busctl", "--system", "call", *arguments).split() == ["b", "true"]
    except CommandError:
        return False


def _by_manager(bridges: list[Bridge], devices: Devices) -> dict[str, list[Bridge]]:
    """Return the bridges by the program that manages their uplinks."""
    running = [name for name in ("NetworkManager", "systemd-networkd") if _runs(name)]
    found: dict[str, list[Bridge]] = {"NetworkManager": [], "systemd-networkd": [], "": []}
    for bridge in bridges:
        name = next(
            (each for each in running if each != "NetworkManager" or network_manager.manages(bridge.uplink)), ""
        )
        found[name].append(bridge)
    return found


def main() -> None:
    """Change the bridges; end with all that is wrong, or with why it was undone."""
    applies, bridges = sys.argv[1] == "apply", read_bridges(json.loads(sys.argv[2]))
    problems = list(option_problems(bridges))
    if problems:
        sys.exit("\n".join(problems))
    try:
        devices = find_devices()
        problems += device_problems(bridges, devices, devices_of_local_connections())
        found = _by_manager(bridges, devices)
        for bridge in found[""]:
            message = "%s: neither systemd-networkd nor NetworkManager manages %s"
            problems.append(message % (bridge.path, bridge.uplink or "the hypervisor's network"))
        work = [Work(Networkd(devices), found["systemd-networkd"], devices)]
        if found["NetworkManager"]:
            work.append(Work(NetworkManager(devices), found["NetworkManager"], devices))
        problems += [problem for each in work for problem in each.problems()]
        if problems:
            sys.exit("\n".join(problems))
        for each in work:
            for change in each.run(applies):
                sys.stdout.write(change + "\n")
    except CommandError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
