# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scale screenshots down, without an image library, which hypervisors don't have.

Whole lines go through functions that are written in C (map, accumulate, array), as a screen has millions of bytes.
"""

from __future__ import annotations

import struct
import sys
import time
import zlib
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from operator import add
from typing import Union

from .screenshot import PNG_SIGNATURE, check_size, read_ppm, write_png

# What QEMU writes: one byte per color, RGB or RGBA.
_CHANNELS = {2: 3, 6: 4}
_COLOURS = 3
# CPU seconds. A screen full of noise, as large as the guest chooses, would take minutes.
MAX_SECONDS = 15
_Line = Union[bytes, memoryview]
_LOW_BYTE = 0 if sys.byteorder == "little" else 3


def thumbnail(picture: bytes, width: int, max_seconds: float = MAX_SECONDS) -> bytes:
    """Return a picture, PNG or PPM, as a PNG at most C(width) wide.

    Each pixel is the mean of a square of pixels; the remainder at the edges is cut off. Raise ValueError if it is not
    such a picture, or scaling would take more than C(max_seconds) of CPU time.
    """
    lines: Iterator[_Line]
    if picture.startswith(PNG_SIGNATURE):
        full_width, full_height, lines = _read_png(picture)
    else:
        full_width, full_height, pixels = read_ppm(picture)
        step = _COLOURS * full_width
        lines = (pixels[start : start + step] for start in range(0, step * full_height, step))
    side = max(1, -(-full_width // width), -(-full_height // (4 * width)))
    small_width, small_height = full_width // side, full_height // side
    if not small_width or not small_height:
        raise ValueError("the screenshot is too narrow")
    return write_png(small_width, small_height, _shrink(_in_time(lines, max_seconds), small_width, small_height, side))


def _in_time(lines: Iterator[_Line], seconds: float) -> Iterator[_Line]:
    deadline = time.thread_time() + seconds
    for line in lines:
        if time.thread_time() > deadline:
            raise ValueError("the screenshot would take more than %g seconds to scale" % seconds)
        yield line


def _shrink(lines: Iterator[_Line], width: int, height: int, side: int) -> Iterator[bytes]:
    if side == 1:
        yield from (bytes(line) for line in islice(lines, height))
        return
    for _line in range(height):
        first, *others = islice(lines, side)
        column_sums: Iterable[int] = first
        for line in others:
            column_sums = map(add, column_sums, line)
        columns = list(column_sums)
        small = bytearray(_COLOURS * width)
        for colour in range(_COLOURS):
            sums: Iterable[int] = [0] * width
            for offset in range(side):
                sums = map(add, sums, columns[colour + _COLOURS * offset :: _COLOURS * side])
            small[colour::_COLOURS] = bytes(total // side**2 for total in islice(sums, width))
        yield bytes(small)


def _read_png(picture: bytes) -> tuple[int, int, Iterator[bytes]]:
    """Return width, height and lines of pixels, three bytes each."""
    header, data = b"", []
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(picture):
        size, kind = struct.unpack_from(">I4s", picture, position)
        content = picture[position + 8 : position + 8 + size]
        if kind == b"IHDR":
            header = content
        elif kind == b"IDAT":
            data.append(content)
        position += 12 + size
    if len(header) != 13:
        raise ValueError("the PNG has no header")
    width, height, depth, colour_type, _compression, _filters, interlace = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour_type not in _CHANNELS or interlace:
        raise ValueError("the PNG has an unsupported pixel format")
    check_size(width, height)
    channels = _CHANNELS[colour_type]
    expected = height * (1 + width * channels)
    try:
        raw = zlib.decompressobj().decompress(b"".join(data), expected)
    except zlib.error as error:
        raise ValueError("the PNG is damaged: %s" % error) from error
    if len(raw) < expected:
        raise ValueError("the screenshot ends too early")
    return width, height, _lines(raw, width * channels, channels)


def _lines(raw: bytes, size: int, channels: int) -> Iterator[bytes]:
    above = bytes(size)
    for start in range(0, len(raw), size + 1):
        above = _unfiltered(raw[start], raw[start + 1 : start + 1 + size], above, channels)
        yield above if channels == _COLOURS else _without_alpha(above)


def _unfiltered(filter_number: int, line: bytes, above: bytes, channels: int) -> bytes:
    """Return a line without PNG's filter of that number."""
    if filter_number == 0:
        return line
    if filter_number == 1:
        return _each_channel(line, channels)
    if filter_number == 2:
        return _low_bytes(map(add, line, above))
    if filter_number == 3:
        return _average(line, above, channels)
    if filter_number == 4:
        return _paeth(line, above, channels)
    raise ValueError("the PNG has an unknown filter")


def _each_channel(line: bytes, channels: int) -> bytes:
    whole = bytearray(len(line))
    for channel in range(channels):
        whole[channel::channels] = _low_bytes(accumulate(line[channel::channels]))
    return bytes(whole)


def _low_bytes(numbers: Iterable[int]) -> bytes:
    return array("I", numbers).tobytes()[_LOW_BYTE::4]


def _average(line: bytes, above: bytes, channels: int) -> bytes:
    whole = bytearray(line)
    for index, number in enumerate(line):
        left = whole[index - channels] if index >= channels else 0
        whole[index] = (number + (left + above[index]) // 2) & 255
    return bytes(whole)


def _paeth(line: bytes, above: bytes, channels: int) -> bytes:
    if not any(line):
        return above
    whole = bytearray(len(line))
    for channel in range(channels):
        left = corner = 0
        found = []
        for number, up in zip(line[channel::channels], above[channel::channels]):
            if left == corner:
                nearest = up
            elif up == corner:
                nearest = left
            else:
                by_left, by_up, by_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
                nearest = left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner
            left, corner = (number + nearest) & 255, up
            found.append(left)
        whole[channel::channels] = bytes(found)
    return bytes(whole)


def _without_alpha(line: bytes) -> bytes:
    whole = bytearray(len(line) // 4 * _COLOURS)
    for colour in range(_COLOURS):
        whole[colour::_COLOURS] = line[colour::4]
    return bytes(whole)
