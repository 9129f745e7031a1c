# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and images for the tests of volumes: real ones, by a real qemu-img."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Volume, VolumeCreation
from ansible_collections.zstack.kvm.plugins.module_utils._spec.volumes import parse_volumes

MIB = 1 << 20


def volume_to_create(path: Path, **create: Any) -> tuple[Volume, VolumeCreation]:
    """Return a volume in a file, with these options of C(create)."""
    options = {name: str(value) if isinstance(value, Path) else value for name, value in create.items()}
    volumes, problems = parse_volumes([{"install_path": str(path), "create": options}])
    assert not problems
    (volume,) = volumes
    assert volume.create is not None
    return volume, volume.create


def make_image(path: Path, image_format: str = "qcow2", size: str = "8M", backing: str = "") -> Path:
    """Create an image; qemu-img doesn't check whether its backing file exists."""
    options = ["-u", "-F", "raw", "-b", backing] if backing else []
    subprocess.run(["qemu-img", "create", "-q", "-f", image_format, *options, path, size], check=True)
    return path


def mark_as_encrypted(image: Path) -> None:
    """Write into the header of a qcow2 image that it is encrypted with LUKS."""
    with image.open("r+b") as file:
        file.seek(32)
        file.write((2).to_bytes(4, "big"))


def image_info(path: Path) -> dict[str, Any]:
    """Return what qemu-img reports about an image."""
    done = subprocess.run(["qemu-img", "info", "--output=json", path], check=True, capture_output=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
