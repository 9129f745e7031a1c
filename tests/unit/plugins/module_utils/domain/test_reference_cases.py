# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded StartVmCmd becomes a domain that means what the agent's means, but for the listed deviations."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.support.domain_deviations import DEVIATIONS, Deviation, expected_domain
from ansible_collections.zstack.kvm.tests.support.domain_meaning import meaning_of, normal_form
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, CASES, Case

every_case = pytest.mark.parametrize('case', ALL_CASES, ids=lambda case: '%s.%s' % (case.name, case.arch))


@every_case
def test_the_domain_means_what_the_agents_domain_means(case: Case) -> None:
    desired = case.build()

    assert not desired.missing
    assert meaning_of(desired.element, case.arch) == meaning_of(expected_domain(case), case.arch)


@every_case
def test_the_domain_is_valid_against_libvirts_schema(case: Case) -> None:
    assert schema_errors(case.build().element) == []


@pytest.mark.parametrize('deviation', DEVIATIONS, ids=lambda deviation: deviation.row)
def test_no_deviation_is_listed_that_no_case_needs(deviation: Deviation) -> None:
    def is_needed_by(case: Case) -> bool:
        domain = normal_form(case.reference, case.arch)
        before = meaning_of(domain, case.arch)
        deviation.apply(domain, case)
        return meaning_of(domain, case.arch) != before

    assert any(is_needed_by(case) for case in ALL_CASES)


@pytest.mark.parametrize('deviation', DEVIATIONS, ids=lambda deviation: deviation.row)
def test_every_deviation_stands_in_the_documentation(deviation: Deviation) -> None:
    documentation = CASES.parent.parent.parent / 'docs' / 'deviations.md'

    assert '| %s |' % deviation.row in documentation.read_text()


def test_all_recorded_cases_are_looked_at() -> None:
    assert len(ALL_CASES) == 120
