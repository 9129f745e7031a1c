# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Screenshots become PNG files that any program can read."""

from __future__ import annotations

import struct
import time
import zlib

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.screenshot import PNG_SIGNATURE, as_png

# Two lines of two pixels.
PIXELS = bytes(range(12))


def chunks(png: bytes) -> dict[bytes, bytes]:
    """Return the parts of a PNG by their names (PNG specification, section 5), after a look at their checksums."""
    assert png.startswith(PNG_SIGNATURE)
    found, rest = {}, png[len(PNG_SIGNATURE) :]
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        kind, data, checksum = rest[4:8], rest[8 : 8 + size], rest[8 + size : 12 + size]
        assert checksum == struct.pack(">I", zlib.crc32(kind + data))
        found[kind] = data
        rest = rest[12 + size :]
    return found


def test_png_stays_as_it_is() -> None:
    assert as_png(PNG_SIGNATURE + b"rest") == PNG_SIGNATURE + b"rest"


@pytest.mark.parametrize("header", [b"P6\n2 2\n255\n", b"P6 2\t2 255 ", b"P6\n# by QEMU\n2 2\n# max\n255\n"])
def test_ppm_becomes_png_of_the_same_pixels(header: bytes) -> None:
    found = chunks(as_png(header + PIXELS))
    assert list(found) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert (width, height, depth, colour) == (2, 2, 8, 2)
    assert zlib.decompress(found[b"IDAT"]) == b"\0" + PIXELS[:6] + b"\0" + PIXELS[6:]


@pytest.mark.parametrize(
    "picture",
    [b"", b"BM", b"P5\n2 2\n255\n" + PIXELS, b"P6\n2 2\n65535\n" + PIXELS * 2, b"P6\n2 2\n255\n" + PIXELS[:-1]],
    ids=["nothing", "BMP", "grey", "two bytes a colour", "cut off"],
)
def test_other_formats_are_refused(picture: bytes) -> None:
    with pytest.raises(ValueError, match="the screenshot"):
        as_png(picture)


def test_a_screenshot_larger_than_any_screen_is_refused_by_its_header() -> None:
    with pytest.raises(ValueError, match="the screenshot is too large: 8192 x 4096 pixels"):
        as_png(b"P6\n8192 4096\n255\n")


def test_a_screenshot_with_an_extreme_width_is_refused() -> None:
    with pytest.raises(ValueError, match="the screenshot is too large: 100000 x 1 pixels"):
        as_png(b"P6\n100000 1\n255\n")


@pytest.mark.parametrize("filler", [b" ", b"\n", b"# \n", b"#", b"9"])
def test_an_endless_header_is_refused_quickly(filler: bytes) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="the screenshot is neither PNG nor PPM"):
        as_png(b"P6 " + filler * 1_000_000)
    assert time.process_time() - began < 5
