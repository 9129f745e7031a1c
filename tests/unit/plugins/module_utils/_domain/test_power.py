# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that let a guest suspend itself."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain


def states(host: str = "debian-12", **options: Any) -> Optional[dict[str, str]]:
    """Return what is enabled by its element, None without an element for all."""
    power = domain(host, **options).find("pm")
    return None if power is None else {each.tag: each.get("enabled") for each in power}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"suspend_to_ram": True}, {"suspend-to-mem": "yes"}),
        ({"suspend_to_ram": False}, {"suspend-to-mem": "no"}),
        ({"suspend_to_disk": True}, {"suspend-to-disk": "yes"}),
        (
            {"suspend_to_ram": False, "suspend_to_disk": True},
            {"suspend-to-mem": "no", "suspend-to-disk": "yes"},
        ),
    ],
)
def test_only_what_is_set_is_written(options: dict[str, Any], expected: Optional[dict[str, str]]) -> None:
    assert states(**options) == expected


@pytest.mark.parametrize("enabled", [True, False])
def test_libvirt_has_no_such_setting_for_aarch64(enabled: bool) -> None:
    assert states("el-7-aarch64", suspend_to_ram=enabled, suspend_to_disk=enabled) is None
