# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every state that libvirt reports has something that is to be done about it."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import power_state
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm


@pytest.mark.parametrize(
    ("state", "reason", "power"),
    [
        ("absent", "unknown", power_state.START),
        ("shutoff", "saved", power_state.START),
        ("running", "booted", power_state.KEEP),
        ("blocked", "unknown", power_state.KEEP),
        ("paused", "user", power_state.RESUME),
        ("paused", "ioerror", power_state.RESUME),
        ("paused", "migration", power_state.BUSY),
        ("paused", "save", power_state.BUSY),
        ("paused", "shutting_down", power_state.START_WHEN_OFF),
        ("paused", "crashed", power_state.CRASHED),
        ("shutdown", "user", power_state.START_WHEN_OFF),
        ("pmsuspended", "unknown", power_state.WAKE_UP),
        ("crashed", "panicked", power_state.CRASHED),
        ("unknown", "unknown", power_state.BUSY),
    ],
)
def test_what_is_to_be_done(state: str, reason: str, power: str) -> None:
    assert power_state.power_of(ObservedVm(state, reason)) == power
