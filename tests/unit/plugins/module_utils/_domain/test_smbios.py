# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts that the guest's firmware has about the machine."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain


def entries(**smbios: Any) -> dict[str, list[tuple[str, str]]]:
    """Return name and text of the entries of each block."""
    sysinfo = domain(smbios=smbios).find("sysinfo")
    return {block.tag: [(entry.get("name"), entry.text) for entry in block] for block in sysinfo}


@pytest.mark.parametrize(
    ("smbios", "expected"),
    [
        ({"serial": "1-2"}, {"system": [("serial", "1-2")]}),
        ({"asset_tag": "www.zstack.io"}, {"chassis": [("asset", "www.zstack.io")]}),
        (
            {"manufacturer": "Example", "product": "Machine", "serial": "1-2"},
            {"system": [("manufacturer", "Example"), ("product", "Machine"), ("serial", "1-2")]},
        ),
        ({"oem_strings": ["storage:one", "a, b"]}, {"oemStrings": [(None, "storage:one"), (None, "a, b")]}),
    ],
)
def test_each_text_is_in_its_block_and_no_block_is_empty(
    smbios: dict[str, Any], expected: dict[str, list[tuple[str, str]]]
) -> None:
    assert entries(**smbios) == expected


@pytest.mark.parametrize(("options", "mode"), [({}, None), ({"smbios": {"serial": "1-2"}}, "sysinfo")])
def test_the_firmware_uses_the_texts_where_there_are_some(options: dict[str, Any], mode: str) -> None:
    found = domain(**options)

    assert (found.find("sysinfo") is None) == (mode is None)
    assert [each.get("mode") for each in found.iterfind("os/smbios")] == ([mode] if mode else [])
