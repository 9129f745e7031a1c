# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sound card for those who can hear it: spice plays sound, VNC does not."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain


@pytest.mark.parametrize(
    ("mode", "models"), [("spice", ["ich6"]), ("vnc_and_spice", ["ich6"]), ("vnc", []), ("none", [])]
)
def test_a_vm_has_one_where_its_console_plays_it(mode: str, models: list[str]) -> None:
    assert [found["model"] for found in attributes(domain(console_mode=mode), "devices/sound")] == models


def test_the_model_is_that_of_the_options() -> None:
    assert attributes(domain(console_mode="spice", sound_type="ac97"), "devices/sound") == [{"model": "ac97"}]
