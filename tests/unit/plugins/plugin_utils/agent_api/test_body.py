# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import zlib

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.body import BodyError, text_of

TEXT = '{"vmName": "Büro"}'
BODY = TEXT.encode()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY, mtime=0), "gzip"),
        (gzip.compress(BODY, mtime=0), " GZIP "),
        (zlib.compress(BODY), "deflate"),
    ],
)
def test_the_text(body: bytes, encoding: str) -> None:
    assert text_of(body, encoding, len(BODY)) == TEXT


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"\xff", "", 400),
        (BODY, "gzip", 400),
        (gzip.compress(BODY, mtime=0)[:-1], "gzip", 400),
        (gzip.compress(BODY, mtime=0) + b"more", "gzip", 400),
        (b"", "gzip", 400),
        (gzip.compress(bytes(1 << 20), mtime=0), "gzip", 413),
        (BODY * 100, "", 413),
        (BODY, "br", 415),
        (BODY, "gzip, gzip", 415),
    ],
)
def test_no_text(body: bytes, encoding: str, status: int) -> None:
    with pytest.raises(BodyError) as caught:
        text_of(body, encoding, 1000)
    assert caught.value.status == status
