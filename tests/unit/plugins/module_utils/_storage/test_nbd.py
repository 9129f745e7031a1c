# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that are being recovered from an NBD export."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import Address
from ansible_collections.zstack.kvm.plugins.module_utils._storage.nbd import Export, parse_export
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import source_text, volume


@pytest.mark.parametrize(
    ("url", "export"),
    [
        ("nbd://10.0.9.7:10809/volume", Export("10.0.9.7", 10809, "volume")),
        ("nbd://[2001:db8::8]:10809/a/b", Export("2001:db8::8", 10809, "a/b")),
        ("nbd://10.0.9.7/volume", None),
        ("nbd://10.0.9.7:65536/volume", None),
        ("nbd://10.0.9.7:10809/", None),
        ("nbd+unix:///volume", None),
    ],
)
def test_the_export_of_a_url(url: str, export: Optional[Export]) -> None:
    assert parse_export(url) == export


def test_the_export_replaces_the_volume() -> None:
    item = volume("ceph", "ceph://pool/image", recovery_url="nbd://10.0.9.7:10809/volume")
    expected = '<source protocol="nbd" name="volume"><host name="10.0.9.7" port="10809"/></source>'
    assert source_text(item) == expected
    assert storage.backend_of(item).addresses(item) == (Address("10.0.9.7", 10809),)


def test_a_server_without_the_export_is_named() -> None:
    item = volume("file", "/volume", recovery_url="nbd://10.0.9.7:10809/volume")
    reason = "Requested export not available"
    expected = ("storage_missing", "the NBD server 10.0.9.7 port 10809 has no export volume")
    assert storage.backend_of(item).explain(item, reason) == expected
