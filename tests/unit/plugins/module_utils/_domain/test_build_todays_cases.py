# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each of today's StartVmCmd documents becomes a domain that means what today's agent's means, but for deviations."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._spec.document_fields import DocumentReader
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import converted, vm_from_start_vm_cmd
from ansible_collections.zstack.kvm.tests.support.deviations.today import REFUSED, STARTED, differences
from ansible_collections.zstack.kvm.tests.support.document_variants import facts_of, variants
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.todays_cases import ALL_OF_TODAY, TodaysCase
from lxml import etree


def domain_of(case: TodaysCase) -> etree._Element:
    """Our domain on the agent's host."""
    (vm,), problems = parse_vms([vm_from_start_vm_cmd(case.document)[0]])
    assert not problems
    return build(vm, case.host, case.facts).element


@pytest.mark.parametrize("case", STARTED, ids=lambda case: "%s.%s" % (case.name, case.arch))
class TestADocumentOfToday:
    def test_becomes_a_domain_that_means_what_the_agents_means(self, case: TodaysCase) -> None:
        assert differences(domain_of(case), case) == {}

    def test_becomes_a_domain_that_is_valid_against_libvirts_schema(self, case: TodaysCase) -> None:
        assert schema_errors(domain_of(case)) == []


@pytest.mark.parametrize("case", [case for case in ALL_OF_TODAY if case.name in REFUSED], ids=lambda case: case.name)
def test_a_document_that_cannot_be_carried_out_is_refused_by_its_fields(case: TodaysCase) -> None:
    refusals = case.refusals()
    try:
        parsed, problems = parse_vms([converted(case.document, DocumentReader())])
        refusals += [str(problem) for problem in problems]
        for vm in parsed:
            build(vm, case.host, case.facts)
    except (ValueError, VmProblems) as error:
        refusals.append(str(error))
    for field in REFUSED[case.name]:
        assert any(field in refusal for refusal in refusals), refusals


def test_a_document_with_fields_of_others_becomes_a_valid_domain_or_is_refused() -> None:
    """Nothing else than problems is raised, and no field gets lost without a word."""
    invalid, started = {}, 0
    for case, document in variants(300, seed=1):
        reader = DocumentReader()
        parsed, problems = parse_vms([converted(document, reader)])
        if reader.problems or problems:
            continue
        assert reader.unknown == []
        try:
            domain = build(parsed[0], case.host, facts_of(document)).element
        except VmProblems:
            continue
        started += 1
        errors = schema_errors(domain)
        if errors:
            invalid[document["vmInstanceUuid"]] = errors
    assert invalid == {}
    assert started > 50


def test_all_of_todays_documents_are_looked_at() -> None:
    assert len(ALL_OF_TODAY) == 120
