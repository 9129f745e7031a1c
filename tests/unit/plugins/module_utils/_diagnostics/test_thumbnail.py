# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails: every pixel is the mean of the pixels it replaces, whatever the filters of the PNG."""

from __future__ import annotations

import random
import struct
import time
import zlib

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.screenshot import PNG_SIGNATURE, write_png
from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.thumbnail import thumbnail
from hypothesis import given, settings
from hypothesis import strategies as st

Lines = list[bytes]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(lines: Lines, filters: list[int], channels: int = 3, depth: int = 8, interlace: int = 0) -> bytes:
    """Return a PNG of lines, each written with a filter of its own (PNG specification, section 9)."""
    kind = {3: 2, 4: 6, 1: 0}[channels]
    header = struct.pack(">IIBBBBB", len(lines[0]) // channels, len(lines), depth, kind, 0, 0, interlace)
    above, data = bytes(len(lines[0])), b""
    for number, line in zip(filters, lines):
        left = bytes(channels) + line
        corner = bytes(channels) + above
        predicted = [predict(number, *three) for three in zip(left, above, corner)]
        data += bytes([number]) + bytes((byte - guess) & 255 for byte, guess in zip(line, predicted))
        above = line
    # In two parts, as long data is.
    packed = zlib.compress(data)
    parts = chunk(b"IDAT", packed[:5]) + chunk(b"IDAT", packed[5:])
    return PNG_SIGNATURE + chunk(b"IHDR", header) + parts + chunk(b"IEND", b"")


def predict(number: int, left: int, above: int, corner: int) -> int:
    if number == 4:
        distances = [(abs(left + above - corner - each), order) for order, each in enumerate((left, above, corner))]
        return (left, above, corner)[min(distances)[1]]
    # There is no filter 5; its predictions don't matter.
    return (0, left, above, (left + above) // 2, 0, 0)[number]


def pixels(picture: bytes) -> tuple[int, int, Lines]:
    """Return width, height and lines of a PNG that write_png has written."""
    width, height = struct.unpack_from(">II", picture, 16)
    start = picture.index(b"IDAT") + 4
    raw = zlib.decompressobj().decompress(picture[start:])
    size = 1 + 3 * width
    return width, height, [raw[row * size + 1 : (row + 1) * size] for row in range(height)]


@settings(deadline=None)
@given(st.data())
def test_whatever_the_filters_are_the_pixels_are_the_same(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 6))
    lines = data.draw(st.lists(st.binary(min_size=3 * width, max_size=3 * width), min_size=1, max_size=6))
    filters = data.draw(st.lists(st.integers(0, 4), min_size=len(lines), max_size=len(lines)))
    assert pixels(thumbnail(png(lines, filters), 6)) == (width, len(lines), lines)


def test_a_square_of_pixels_becomes_their_mean() -> None:
    lines = [bytes([0, 10, 255, 40, 30, 255, 7, 7, 7]), bytes([80, 50, 255, 0, 70, 255, 7, 7, 7])]
    for picture in (png(lines, [0, 0]), b"P6 3 2 255 " + b"".join(lines)):
        # What is left over on the right is cut off.
        assert pixels(thumbnail(picture, 2)) == (1, 1, [bytes([30, 40, 255])])


def test_a_narrow_screenshot_keeps_its_size() -> None:
    small = write_png(2, 1, [bytes(range(6))])
    assert pixels(thumbnail(small, 2)) == (2, 1, [bytes(range(6))])


def test_the_height_of_a_thumbnail_is_limited() -> None:
    width, height, _lines = pixels(thumbnail(write_png(100, 1000, [bytes(300)] * 1000), 10))
    assert (width, height) == (4, 40)


def test_transparency_is_dropped() -> None:
    assert pixels(thumbnail(png([bytes([1, 2, 3, 99])], [1], channels=4), 1)) == (1, 1, [bytes([1, 2, 3])])


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"GIF89a",
        PNG_SIGNATURE,
        png([bytes(3)], [0])[:-30],
        png([bytes(3)], [5]),
        png([bytes(1)], [0], channels=1),
        png([bytes(6)], [0], depth=16),
        png([bytes(3)], [0], interlace=1),
        PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31, 2**31, 8, 2, 0, 0, 0)),
        PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"torn"),
    ],
    ids=["nothing", "GIF", "no header", "cut off", "filter", "grey", "deep", "interlaced", "huge", "damaged"],
)
def test_invalid_screenshots_are_refused(picture: bytes) -> None:
    with pytest.raises(ValueError, match="screenshot|PNG"):
        thumbnail(picture, 320)


def test_scaling_a_large_screenshot_is_aborted_in_time() -> None:
    size = 2048
    noise = random.Random(1).randbytes(size * 3)
    raw = b"".join(b"\4" + noise for _line in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    picture = PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b"")
    began = time.thread_time()
    with pytest.raises(ValueError, match="the screenshot would take more than 0.2 seconds to scale"):
        thumbnail(picture, 320, max_seconds=0.2)
    assert time.thread_time() - began < 2
