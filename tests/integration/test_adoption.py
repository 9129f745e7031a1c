# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that ZStack's agent defined are adopted: the differences are exactly the listed deviations, and can be set.

The agent's domains are defined with libvirt (tests/support/adoption.py says what of them this machine doesn't take).
"""

from __future__ import annotations

import re

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils.domain_diff import Difference
from ansible_collections.zstack.kvm.tests.support.adoption import all_differences, deviations
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES

# libvirt refuses these of the agent's domains: no USB bus, colliding SCSI units, timers that aarch64 doesn't have.
REFUSED = {"r0009", "r0016", "r0027", "r0052", "r0057", "r0062", "r0063", "r0067"}


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[Difference, ...]]:
    """The differences, by document."""
    return {name: each for name, each in all_differences().items() if each is not None}


def test_all_but_those_that_libvirt_refuses_are_compared(found: dict[str, tuple[Difference, ...]]) -> None:
    assert {case.name for case in ALL_CASES} - set(found) == REFUSED


def test_every_difference_is_a_listed_deviation(found: dict[str, tuple[Difference, ...]]) -> None:
    patterns = [re.compile(place) for _row, place in deviations()]
    unlisted = [
        (name, difference)
        for name, each in found.items()
        for difference in each
        if not any(pattern.fullmatch(difference.path) for pattern in patterns)
    ]
    assert unlisted == []


@pytest.mark.parametrize(("row", "place"), deviations())
def test_every_listed_deviation_is_found(found: dict[str, tuple[Difference, ...]], row: str, place: str) -> None:
    assert any(re.fullmatch(place, difference.path) for each in found.values() for difference in each)


@pytest.mark.parametrize("row", sorted({row for row, _place in deviations()}))
def test_every_listed_deviation_is_documented(row: str) -> None:
    assert "\n| %s |" % row in (CHECKOUT / "docs" / "deviations.md").read_text(encoding="utf-8")
