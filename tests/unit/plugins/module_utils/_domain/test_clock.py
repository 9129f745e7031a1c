# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock, and the timers of guests that have local time."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain

RTC = {"name": "rtc", "tickpolicy": "catchup"}
PIT = {"name": "pit", "tickpolicy": "delay"}
HPET = {"name": "hpet", "present": "no"}
HYPERV = {"name": "hypervclock", "present": "yes"}


@pytest.mark.parametrize("offset", ["utc", "localtime"])
def test_the_clock_has_the_offset_of_the_vm(offset: str) -> None:
    assert domain(clock=offset).find("clock").get("offset") == offset


def test_a_clock_in_utc_has_no_timers() -> None:
    assert attributes(domain(clock="utc", clock_track="guest"), "clock/timer") == []


@pytest.mark.parametrize(
    ("host", "options", "timers"),
    [
        pytest.param("debian-12", {}, [RTC, PIT, HPET, HYPERV], id="x86"),
        pytest.param("debian-12", {"hyperv_clock": False}, [RTC, PIT, HPET], id="without the clock of Hyper-V"),
        pytest.param("debian-12", {"clock_track": "guest"}, [{**RTC, "track": "guest"}, PIT, HPET, HYPERV], id="track"),
        pytest.param("el-7-aarch64", {}, [RTC, PIT, HPET], id="aarch64"),
    ],
)
def test_a_clock_with_local_time_has_the_timers_that_windows_needs(
    host: str, options: dict[str, Any], timers: list[dict[str, str]]
) -> None:
    assert attributes(domain(host, clock="localtime", **options), "clock/timer") == timers
