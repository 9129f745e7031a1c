# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud image of the tests, which is cached for all clones on the machine."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from .lock import alone_in

CACHE = Path("/var/cache/zstack-kvm/images")
_SOURCES = "tools/cloud_image"


def path(checkout: Path) -> Path:
    """Return the path of the image, which may not exist; what it is built from is part of the name."""
    digest = hashlib.sha256()
    for source in sorted((checkout / _SOURCES).rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts and source.suffix != ".md":
            digest.update(str(source.relative_to(checkout)).encode() + b"\0" + source.read_bytes() + b"\0")
    return CACHE / f"debian-{digest.hexdigest()[:12]}.qcow2"


def ensure(checkout: Path, run: Callable[[list[str]], None]) -> None:
    """Build the image with C(run), which raises if a command fails, unless it exists."""
    with alone_in(CACHE):
        if not path(checkout).exists():
            for unfinished in CACHE.glob("zstack-kvm-cloud-image-*"):
                shutil.rmtree(unfinished)
            run([str(checkout / _SOURCES / "build"), str(path(checkout))])
