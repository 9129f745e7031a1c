# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file systems of hosts that are not hypervisors yet: a minimal Debian with Python and an SSH server.

They are cached for all clones on the machine and never changed: a host writes to a layer above.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from . import systems
from .modular_libvirt import Run

SUITES = {"debian-12": "bookworm", "debian-13": "trixie", "debian-unstable": "sid"}
# systemd runs in some of the hosts only.
PACKAGES = ("ca-certificates", "dbus", "openssh-server", "python3", "systemd-sysv")


def directory(name: str) -> Path:
    """Return the path of a system's files, which may not exist; what they are created from is part of the name."""
    digest = hashlib.sha256(repr(PACKAGES).encode())
    return systems.CACHE / f"fresh-{name}-{digest.hexdigest()[:12]}"


def create(name: str, run: Run) -> None:
    """Create a system's files, unless they exist, with C(run), which raises if a command fails."""
    finished = directory(name)
    if finished.is_dir():
        return
    unfinished = finished.with_name(f"{finished.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    run(systems.bootstrap(SUITES[name], unfinished, list(PACKAGES)))
    unfinished.rename(finished)
