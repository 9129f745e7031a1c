# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pythons of this machine, whatever installed them."""

from __future__ import annotations

import glob
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Searched before PATH: Debian's own Pythons, and those built by hand, by pyenv, by uv.
PATTERNS = (
    "/usr/bin",
    "/usr/local/bin",
    "/opt/python*/bin",
    "~/.pyenv/versions/*/bin",
    "~/.local/share/uv/python/*/bin",
)
ASK = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"


def find(versions: Sequence[str]) -> dict[str, Path]:
    """Return the program of each version ("3.12") that the machine has and that can create virtual environments."""
    directories = [
        directory for pattern in PATTERNS for directory in sorted(glob.glob(os.path.expanduser(pattern)), reverse=True)
    ]
    directories += os.environ.get("PATH", "").split(":")
    found = {}
    for version in versions:
        programs = (Path(directory) / f"python{version}" for directory in directories)
        works = (program for program in programs if program.is_file() and _version(program) == version)
        program = next(works, None)
        if program:
            found[version] = program
    return found


def _version(program: Path) -> str:
    """Return the version that the program reports, or nothing if it doesn't run, like a version manager's shim."""
    try:
        done = subprocess.run(
            [program, "-c", ASK], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
