# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work on bridges: files are written, applied, waited for, and taken back if that fails."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Optional, Union

from desired import Bridge
from host import CommandError, Devices, find_devices, run
from network_manager import NetworkManager
from networkd import Networkd

Manager = Union[Networkd, NetworkManager]

SECONDS = 60
_RESTORE_SECONDS = 60
# What comes back by itself has done so by then.
_OWN_RESTORE_SECONDS = 5
_POLL_SECONDS = 0.2


class Work:
    """The work on the bridges that one program of the hypervisor manages."""

    def __init__(self, manager: Manager, bridges: list[Bridge], devices: Devices) -> None:
        self._manager = manager
        self._bridges = bridges
        self._devices = devices
        self._expected = {bridge.name: _addresses_after(bridge, devices) for bridge in bridges}

    def problems(self) -> Iterator[str]:
        """Yield what keeps the program from creating its bridges."""
        for bridge in self._bridges:
            yield from self._manager.problems(bridge)

    def run(self, applies: bool) -> Iterator[str]:
        """Write the files and have them applied; yield what was changed. Raise CommandError when it is undone."""
        files = {path: text for path, text in self._manager.files(self._bridges).items() if _read(path) != text}
        pending = [bridge for bridge in self._bridges if not self._is_up(bridge, self._devices)]
        for path in sorted(files):
            yield "%s: written" % path
        for bridge in pending:
            yield "%s: created" % bridge.name if bridge.name not in self._devices else "%s: gets its port" % bridge.name
        if not applies or not (files or pending):
            return
        before = {path: _read(path) for path in files}
        try:
            for path, text in files.items():
                _write(path, text, self._manager.mode)
            self._manager.apply(pending)
            self._wait()
        except (CommandError, OSError) as error:
            raise CommandError("%s. %s" % (error, self._undone(before, pending))) from error

    def _is_up(self, bridge: Bridge, devices: Devices) -> bool:
        port = devices.get(bridge.port or "")
        if bridge.name not in devices or (bridge.port is not None and (port is None or port.master != bridge.name)):
            return False
        if bridge.vlan is not None and not _keeps_addresses(str(bridge.uplink), self._devices, devices):
            return False
        return self._expected[bridge.name] <= set(devices[bridge.name].addresses)

    def _wait(self) -> None:
        if not _comes_true(lambda: not self._missing(), SECONDS):
            message = "%s has not created %s with its port and addresses within %d seconds"
            names = ", ".join(bridge.name for bridge in self._missing())
            raise CommandError(message % (self._manager.name, names, SECONDS))

    def _missing(self) -> list[Bridge]:
        devices = find_devices()
        return [bridge for bridge in self._bridges if not self._is_up(bridge, devices)]

    def _undone(self, before: Mapping[Path, Optional[str]], pending: list[Bridge]) -> str:
        """Undo what was done, and return a sentence about it."""
        try:
            self._undo(before, pending)
        except (CommandError, OSError) as error:
            return "It cannot be undone: %s" % error
        if not _comes_true(self._is_restored, _OWN_RESTORE_SECONDS):
            # Nobody's files have them, or no server gives them again.
            self._add_lost_addresses()
        if _comes_true(self._is_restored, _RESTORE_SECONDS):
            return "It has been undone."
        return "It has been undone, but the uplinks do not have their addresses and bridges of before."

    def _is_restored(self) -> bool:
        devices = find_devices()
        return all(name in devices and devices[name][1:] == self._devices[name][1:] for name in self._own_devices())

    def _own_devices(self) -> set[str]:
        """Return the devices that bridges are on, of those that existed before."""
        names = {name for bridge in self._bridges for name in (bridge.uplink, bridge.port)}
        return names.intersection(self._devices)

    def _add_lost_addresses(self) -> None:
        devices = find_devices()
        for name in sorted(self._own_devices().intersection(devices)):
            for address in set(self._devices[name].addresses) - set(devices[name].addresses):
                with contextlib.suppress(CommandError):
                    run("ip", "address", "add", address, "dev", name)

    def _undo(self, before: Mapping[Path, Optional[str]], pending: list[Bridge]) -> None:
        for path, text in before.items():
            if text is not None:
                _write(path, text, self._manager.mode)
            elif path.exists():
                path.unlink()
                _remove_if_empty(path.parent)
        for device in (name for bridge in pending for name in (bridge.name, bridge.port if bridge.vlan else None)):
            if device is not None and device not in self._devices and device in find_devices():
                run("ip", "link", "delete", "dev", device)
        self._manager.restore(pending)


def _keeps_addresses(uplink: str, before: Devices, now: Devices) -> bool:
    """Return whether an uplink has its addresses, or the bridge that has taken them over."""
    device = now.get(uplink)
    holders = [device] if device is None or device.master is None else [device, now[device.master]]
    found = {address for holder in holders if holder is not None for address in holder.addresses}
    return set(before[uplink].addresses) <= found


def _addresses_after(bridge: Bridge, devices: Devices) -> set[str]:
    port = devices.get(bridge.port or "")
    moves = port is not None and port.master != bridge.name
    return set(port.addresses) if port is not None and moves else set()


def _comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _read(path: Path) -> Optional[str]:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _remove_if_empty(drop_ins: Path) -> None:
    if drop_ins.name.endswith(".d") and not list(drop_ins.iterdir()):
        drop_ins.rmdir()


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = path.with_name(".%s.partial" % path.name)
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    os.replace(partial, path)
