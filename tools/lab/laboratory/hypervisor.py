# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor of the laboratory, and the directory with its state."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from . import cgroups, network
from .errors import LabError


@dataclass(frozen=True)
class Settings:
    """The settings with which a hypervisor is started."""

    number: int
    network: str
    bridges: tuple[str, ...]
    binds: tuple[str, ...]
    path_first: tuple[str, ...]
    # A directory with another system's files; empty for this machine's own.
    system: str = ""


class Hypervisor:
    """One hypervisor: its names, its addresses and its directory below the laboratory's."""

    def __init__(self, laboratory: Path, settings: Settings) -> None:
        self.laboratory = laboratory
        self.settings = settings
        self.number = settings.number
        self.name = f"hv{settings.number}"
        self.directory = laboratory / self.name
        self.network = ipaddress.IPv4Network(settings.network)
        self.address = str(network.address(self.network, settings.number))
        self.uuid = uuid.uuid5(uuid.NAMESPACE_URL, f"zstack.kvm:{self.directory}")
        # A later hypervisor with this address, in another laboratory, has another group.
        self.cgroup = f"zstack-kvm-lab-{self.address}-{self.uuid.hex[:8]}"
        # The command line of its first process; a recorded pid counts only while it still shows this.
        self.process_name = f"zstack-kvm-lab:{self.directory}"

    @property
    def log(self) -> Path:
        """Return the log of its start."""
        return self.directory / "boot.log"

    def save(self) -> None:
        """Save its settings before anything of it exists."""
        self.directory.mkdir(mode=0o755)
        (self.directory / "settings.json").write_text(json.dumps(asdict(self.settings)), encoding="utf-8")

    def save_pid(self, pid: int) -> None:
        """Save the ID of its first process on this machine."""
        (self.directory / "pid").write_text(str(pid), encoding="utf-8")

    def pid(self) -> int | None:
        """Return the ID of its first process on this machine, or None if it is not running."""
        try:
            pid = int((self.directory / "pid").read_text(encoding="utf-8"))
            command = _command_line(pid)
        except (OSError, ValueError):
            return None
        return pid if self.process_name.encode() in command else None

    def inside(self, path: str) -> Path:
        """Return a path inside the hypervisor, as this machine reaches it."""
        return Path(f"/proc/{self.pid()}/root") / path.lstrip("/")

    def stop(self) -> None:
        """End every process of the hypervisor and remove everything that was created for it."""
        pid = self.pid()
        if pid is not None:
            # The kernel ends everything in a PID namespace together with its first process.
            os.kill(pid, signal.SIGKILL)
            _wait_until_ended(pid)
        cgroups.remove(self.cgroup)
        network.disconnect(self.network, self.number, self.directory)
        shutil.rmtree(self.directory)


def _command_line(pid: int) -> list[bytes]:
    # While a process replaces its program, it has no command line for a moment.
    for _attempt in range(50):
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
        if text or _has_ended(pid):
            return text.split(b"\0")
        time.sleep(0.01)
    return []


def _has_ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def _wait_until_ended(pid: int, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if _has_ended(pid):
            return
        time.sleep(0.02)
    raise LabError(f"process {pid} did not end within {timeout:.0f} s")


def capabilities(laboratory: Path) -> Path:
    """Return the directory in which all libvirts of the laboratory cache QEMU's capabilities: probing takes seconds."""
    return laboratory / "capabilities"


def load(laboratory: Path, name: str) -> Hypervisor:
    """Return the hypervisor of this name in a laboratory's directory."""
    try:
        values = json.loads((laboratory / name / "settings.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LabError(f"there is no hypervisor {name} in {laboratory}") from error
    for key in ("bridges", "binds", "path_first"):
        values[key] = tuple(values[key])
    return Hypervisor(laboratory, Settings(**values))


def load_all(laboratory: Path) -> list[Hypervisor]:
    """Return all hypervisors of a laboratory's directory, by number."""
    names = [path.parent.name for path in laboratory.glob("hv*/settings.json")]
    return sorted((load(laboratory, name) for name in names), key=lambda hypervisor: hypervisor.number)
