# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of a request, as text of limited length."""

from __future__ import annotations

import zlib

_ZLIB_OR_GZIP = zlib.MAX_WBITS + 32


class BodyError(ValueError):
    """The body cannot be read; C(status) is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def text_of(body: bytes, encoding: str, most: int) -> str:
    """Return the text in a body with this Content-Encoding, at most so many bytes of it. Raises C(BodyError)."""
    content = _decompressed(body, encoding.strip().lower(), most)
    if len(content) > most:
        raise BodyError(413, "the document is larger than %d bytes" % most)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BodyError(400, "the document is not in UTF-8") from None


def _decompressed(body: bytes, encoding: str, most: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BodyError(415, "the Content-Encoding is neither gzip nor deflate; send the document as it is")
    decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        content = decompressor.decompress(body, most + 1)
    except zlib.error:
        raise BodyError(400, "the document is not compressed as its Content-Encoding says") from None
    if len(content) <= most and (not decompressor.eof or decompressor.unused_data):
        raise BodyError(400, "the document is not compressed as its Content-Encoding says")
    return content
