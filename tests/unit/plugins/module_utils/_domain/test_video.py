# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphics cards: how many, and their memory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain


def models(**options: Any) -> list[dict[str, str]]:
    return [dict(each.attrib) for each in domain(**options).iterfind("devices/video/model")]


def test_there_is_one_of_qxl_for_each_monitor() -> None:
    assert models(video_type="qxl", console_mode="spice", vdi_monitor_number=3) == [{"type": "qxl"}] * 3
    assert models(video_type="vga", console_mode="spice", vdi_monitor_number=3) == [{"type": "vga"}]


@pytest.mark.parametrize(
    ("memory", "written"),
    [
        ({"ram": 65536}, {"ram": "65536"}),
        ({"ram": 65537, "vram": 32768, "vgamem": 16384}, {"ram": "131072", "vram": "32768", "vgamem": "16384"}),
    ],
)
def test_the_memory_of_qxl_is_rounded_up_to_powers_of_two(memory: dict[str, int], written: dict[str, str]) -> None:
    assert models(video_type="qxl", qxl_memory=memory) == [{"type": "qxl", **written}]
