# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices that are backed by files, and named like those of LVM."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CONTROL = os.makedev(10, 237)
_MAJOR = 7
_NODES = 64

NewDevice = Callable[[Path, str], Path]


@contextmanager
def loop_devices() -> Iterator[NewDevice]:
    """Yield a function that creates the block device of an image and a link to it, as LVM does: C(/dev/GROUP/NAME)."""
    _create_nodes()
    group = Path("/dev") / f"vg-{uuid.uuid4().hex[:8]}"
    group.mkdir()

    def create(image: Path, name: str) -> Path:
        attached = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True)
        device = Path(attached.stdout.strip())
        # As a udev rule may do: QEMU's user isn't root.
        device.chmod(0o666)
        link = group / name
        link.symlink_to(device)
        return link

    try:
        yield create
    finally:
        for link in group.iterdir():
            subprocess.run(["losetup", "--detach", link.resolve()], check=True)
        shutil.rmtree(group)


def _create_nodes() -> None:
    """Create the device nodes: a laboratory hypervisor has its own /dev, to which the kernel adds no devices."""
    if not Path("/dev/loop-control").exists():
        os.mknod("/dev/loop-control", 0o600 | 0o020000, _CONTROL)
    for number in range(_NODES):
        node = Path(f"/dev/loop{number}")
        if not node.exists():
            os.mknod(node, 0o660 | 0o060000, os.makedev(_MAJOR, number))
