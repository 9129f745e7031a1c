# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud image of the tests, which is cached for all clones on the machine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path("/var/cache/zstack-kvm/images")
_SOURCES = "tools/cloud_image"


def path(checkout: Path) -> Path:
    """Return where the image is, or will be. What it is made from is part of the name."""
    digest = hashlib.sha256()
    for source in sorted((checkout / _SOURCES).rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts and source.suffix != ".md":
            digest.update(str(source.relative_to(checkout)).encode() + b"\0" + source.read_bytes() + b"\0")
    return CACHE / f"debian-{digest.hexdigest()[:12]}.qcow2"


def ensure(checkout: Path, run: Callable[[list[str]], None]) -> None:
    """Build the image with C(run), which raises if a command fails, unless it exists."""
    with _alone():
        if not path(checkout).exists():
            for unfinished in CACHE.glob("zstack-kvm-cloud-image-*"):
                shutil.rmtree(unfinished)
            run([str(checkout / _SOURCES / "build"), str(path(checkout))])


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other checkout on this machine builds an image."""
    CACHE.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(CACHE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
