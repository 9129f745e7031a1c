# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that ZStack's agent defined are adopted: the differences are exactly the listed deviations, and can be applied.

The agent's domains are defined with libvirt (tests/support/adoption.py removes what this machine doesn't accept).
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.tests.support.adoption import all_differences
from ansible_collections.zstack.kvm.tests.support.deviations import (
    DEVIATIONS,
    predicted_differences,
)
from ansible_collections.zstack.kvm.tests.support.deviations.adoption import Differs
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, Case

# The agent's domains that libvirt refuses: no USB bus, colliding SCSI units, timers that aarch64 doesn't have.
REFUSED = {"r0009", "r0016", "r0027", "r0052", "r0057", "r0062", "r0063", "r0067"}
ADOPTED = [case for case in ALL_CASES if case.name not in REFUSED]


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[Difference, ...]]:
    """Return the differences, by document."""
    return {name: each for name, each in all_differences().items() if each is not None}


def in_order(differences: Sequence[Difference]) -> list[Difference]:
    return sorted(differences, key=lambda difference: difference.path)


def test_all_but_those_that_libvirt_refuses_are_compared(found: dict[str, tuple[Difference, ...]]) -> None:
    assert {case.name for case in ALL_CASES} - set(found) == REFUSED


@pytest.mark.parametrize("case", ADOPTED, ids=lambda case: case.name)
def test_the_differences_are_exactly_those_of_the_listed_deviations(
    found: dict[str, tuple[Difference, ...]], case: Case
) -> None:
    assert in_order(found[case.name]) == in_order(predicted_differences(case))


EACH = [(deviation.row, differs) for deviation in DEVIATIONS for differs in deviation.differs]


@pytest.mark.parametrize(("row", "differs"), EACH, ids=[f"{row}: {differs.path}" for row, differs in EACH])
def test_every_listed_difference_is_one_of_some_document(row: str, differs: Differs) -> None:
    assert any(True for case in ADOPTED for _difference in differs.predicted(case))
