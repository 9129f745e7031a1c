# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Screenshots as PNG. QEMU returns PPM before version 7.1, and if it was built without libpng."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from typing import Union

from .._errors.errors import VmError
from .._host.system import HostSystem
from .._libvirt.hypervisor import Hypervisor

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Larger than any screen; the guest chooses the size of its screen.
_MAX_PIXELS = 16 * 1024**2
_MAX_SIDE = 32767

_PPM_GAP = rb"(?:\s|#[^\n]*\n)+"
_PPM_HEADER = re.compile(_PPM_GAP.join([rb"P6", rb"(\d{1,6})", rb"(\d{1,6})", rb"255\s"]))
_PPM_HEADER_BYTES = 1024


def write_picture(hypervisor: Hypervisor, uuid: str, directory: str) -> str:
    """Write a screenshot of a VM to DIRECTORY/UUID.png on the machine that this runs on, and return the path.

    Only the owner can read the file. Raise VmError if there is no screenshot or it can't be written.
    """
    path = "%s/%s.png" % (directory.rstrip("/"), uuid)
    picture = hypervisor.screenshot(uuid)
    try:
        png = as_png(picture)
    except ValueError as error:
        raise VmError("libvirt_error", str(error)) from error
    HostSystem().files.write_private_file(path, png)
    return path


def as_png(picture: bytes) -> bytes:
    """Return a picture, PNG or PPM with one byte per color, as PNG. Raise ValueError for anything else."""
    if picture.startswith(PNG_SIGNATURE):
        return picture
    width, height, pixels = read_ppm(picture)
    line = 3 * width
    return write_png(width, height, (pixels[start : start + line] for start in range(0, line * height, line)))


def check_size(width: int, height: int) -> None:
    """Raise ValueError for a picture that would take too much memory."""
    if width * height > _MAX_PIXELS or max(width, height) > _MAX_SIDE:
        raise ValueError("the screenshot is too large: %d x %d pixels" % (width, height))


def read_ppm(picture: bytes) -> tuple[int, int, memoryview]:
    """Return width, height and pixels (three bytes each). Raise ValueError unless it is PPM with one byte per color."""
    header = _PPM_HEADER.match(picture[:_PPM_HEADER_BYTES])
    if header is None:
        raise ValueError("the screenshot is neither PNG nor PPM")
    width, height = int(header[1]), int(header[2])
    check_size(width, height)
    pixels = memoryview(picture)[header.end() :]
    if len(pixels) < 3 * width * height:
        raise ValueError("the screenshot ends too early")
    return width, height, pixels


def write_png(width: int, height: int, lines: Iterable[Union[bytes, memoryview]]) -> bytes:
    """Return a PNG of lines of pixels, three bytes each."""
    # Each line begins with the number of its filter: 0, none.
    raw = b"".join(b"\0" + line for line in lines)
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_SIGNATURE + _chunk(b"IHDR", size) + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
