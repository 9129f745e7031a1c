# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of a hypervisor: one of its own in every mounted hierarchy, version 1 and version 2.

A hypervisor's processes are moved there before its cgroup namespace is created, so that this group is its root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError

_ROOT = Path("/sys/fs/cgroup")
# Version 2 allows processes in leaves only, and libvirt enables controllers from the root it sees downwards:
# daemons are therefore in this group, and virtual machines beside it.
_LEAF = "system"


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup hierarchy."""

    mount_point: Path
    version: int
    options: str = ""


def hierarchies() -> list[Hierarchy]:
    """Return every cgroup hierarchy mounted below /sys/fs/cgroup."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _separator, tail = line.partition(" - ")
        mount_point = Path(fields.split()[4])
        kind, _source, options = tail.split(" ", 2)
        if mount_point != _ROOT and _ROOT not in mount_point.parents:
            continue
        if kind == "cgroup2":
            found.append(Hierarchy(mount_point, 2))
        elif kind == "cgroup":
            found.append(Hierarchy(mount_point, 1, _controllers(options)))
    if not found:
        raise LabError("no cgroup hierarchy is mounted below /sys/fs/cgroup")
    return found


def _controllers(options: str) -> str:
    # Mounting the same hierarchy again needs its controllers or its name, and nothing else of its options.
    kept = [option for option in options.split(",") if option.startswith("name=") or not _is_mount_flag(option)]
    if kept and all(option.startswith("name=") for option in kept):
        kept.insert(0, "none")
    return ",".join(kept)


def _is_mount_flag(option: str) -> bool:
    return option in ("rw", "ro", "xattr", "clone_children", "noprefix") or option.startswith("release_agent=")


def create(group: str) -> None:
    """Create the hypervisor's group in every hierarchy and move the calling process there."""
    for hierarchy in hierarchies():
        path = hierarchy.mount_point / group
        if hierarchy.version == 2:
            _enable(hierarchy.mount_point)
        path.mkdir(exist_ok=True)
        if (path / "cgroup.clone_children").exists() and (path / "cpuset.cpus").exists():
            for name in ("cpuset.cpus", "cpuset.mems"):
                (path / name).write_text((hierarchy.mount_point / name).read_text())
            (path / "cgroup.clone_children").write_text("1")
        (path / "cgroup.procs").write_text(str(os.getpid()))


def _enable(group: Path) -> None:
    """Enable a version 2 group's controllers in the groups below it."""
    for controller in (group / "cgroup.controllers").read_text().split():
        try:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            # In use by this machine's own processes: such a controller is not available to the laboratory either,
            # and libvirt works without it.
            continue


def enter_leaf() -> None:
    """Move this process out of the root of a version 2 hierarchy, as libvirt requires. Runs inside the hypervisor."""
    for hierarchy in hierarchies():
        if hierarchy.version == 2:
            leaf = hierarchy.mount_point / _LEAF
            leaf.mkdir()
            (leaf / "cgroup.procs").write_text(str(os.getpid()))
            _enable(hierarchy.mount_point)


def join(group: str) -> None:
    """Move the calling process to the group of the daemons of a running hypervisor."""
    for hierarchy in hierarchies():
        path = hierarchy.mount_point / group
        if hierarchy.version == 2:
            path = path / _LEAF
        (path / "cgroup.procs").write_text(str(os.getpid()))


def mount(root: Path, mounted: list[Hierarchy]) -> None:
    """Mount the hierarchies below the new root, as the cgroup namespace of the caller shows them."""
    target = root / "sys/fs/cgroup"
    if mounted[0].mount_point != _ROOT:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", target], check=True)
    for hierarchy in mounted:
        point = target / hierarchy.mount_point.relative_to(_ROOT)
        point.mkdir(exist_ok=True)
        command = ["mount", "-t", "cgroup2", "cgroup2", str(point)]
        if hierarchy.version == 1:
            command = ["mount", "-t", "cgroup", "-o", hierarchy.options, "cgroup", str(point)]
        subprocess.run(command, check=True)


def remove(group: str, timeout: float = 10) -> None:
    """Kill what is left in the hypervisor's group and remove it; the kernel may need a moment for either."""
    deadline = time.monotonic() + timeout
    for hierarchy in hierarchies():
        top = hierarchy.mount_point / group
        while top.exists():
            _kill_members(top)
            _remove_empty(top)
            if time.monotonic() > deadline:
                raise LabError(f"{top} can't be removed: its processes don't end")
            time.sleep(0.02)


def _kill_members(top: Path) -> None:
    for path in top.glob("**/cgroup.procs"):
        try:
            members = path.read_text(encoding="utf-8").split()
        except OSError:
            # Gone, or threaded: then the group above lists the process.
            continue
        for pid in members:
            # A process outside of this PID namespace shows as 0.
            if pid not in ("0", str(os.getpid())):
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def _remove_empty(top: Path) -> None:
    for path, _directories, _files in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(path)
