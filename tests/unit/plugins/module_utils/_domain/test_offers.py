# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of a host that lacks what a VM requires."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import built, host_with

SPICE = {"console_mode": "spice", "video_type": "vga"}


@pytest.mark.parametrize(
    ("graphics", "problem"),
    [
        (("vnc", "dbus"), "vms[0].console_mode: the host does not offer spice (it has: vnc, dbus)"),
        ((), "vms[0].console_mode: the host does not offer spice (it has: none)"),
    ],
)
def test_a_value_that_is_not_offered_is_named_beside_those_that_are(graphics: tuple[str, ...], problem: str) -> None:
    (found,) = built(host_with("el-9", graphics=graphics), **SPICE).missing

    assert (str(found), found.code) == (problem, "unsupported_device")


def test_everything_that_is_not_offered_is_a_problem_of_its_own_option() -> None:
    host = host_with("el-9", graphics=(), videos=("virtio",))

    assert [found.option_path for found in built(host, **SPICE).missing] == [
        "vms[0].console_mode",
        "vms[0].video_type",
    ]


@pytest.mark.parametrize("values", [{"graphics": ("vnc", "spice")}, {"graphics": None}])
def test_nothing_is_missing_where_it_is_offered_or_nothing_is_reported(values: dict[str, Any]) -> None:
    assert built(host_with("el-9", **values), **SPICE).missing == ()
