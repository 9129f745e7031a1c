# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ./quickstart --clean."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from . import guest
from .vm import BRIDGE, CHANNELS, DISKS, QuickstartVm


def clean(vm: QuickstartVm) -> None:
    """Remove the VM, its disk, seed, bridge and channel, and what was built and downloaded; each if it exists."""
    if vm.exists():
        _say(f"the VM {vm.name} ({vm.uuid})")
        vm.remove()
    for path in (vm.disk, *vm.seeds()):
        if path.exists():
            _say(str(path))
            path.unlink()
    _remove_directory(vm.channel.parent)
    for directory in (DISKS, CHANNELS):
        # Another checkout's VM may be in it
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
    if _bridge_is_unused():
        _say(f"the bridge {BRIDGE}")
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
    _remove_directory(guest.directory(vm.checkout))
    _remove_directory(vm.directory)
    print("The packages that were installed stay, and so do libvirt's daemons.")


def _bridge_is_unused() -> bool:
    ports = Path(f"/sys/class/net/{BRIDGE}/brif")
    return ports.is_dir() and not any(ports.iterdir())


def _remove_directory(directory: Path) -> None:
    if directory.is_dir():
        _say(str(directory))
        shutil.rmtree(directory)


def _say(what: str) -> None:
    print(f"removing {what}", flush=True)
