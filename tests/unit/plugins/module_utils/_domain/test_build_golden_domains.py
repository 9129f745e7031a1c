# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs on recorded hosts become exactly the recorded domains, with exactly the recorded messages."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES
from ansible_collections.zstack.kvm.tests.support.golden_domains import GOLDEN_NAMES, outcome, recorded_outcome
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from lxml import etree

BUILT = [name for name in GOLDEN_NAMES if recorded_outcome(name).xml is not None]
REFUSED = [name for name in GOLDEN_NAMES if recorded_outcome(name).messages["problems"]]
INCOMPLETE = [name for name in GOLDEN_NAMES if recorded_outcome(name).messages["missing"]]


def codes(texts: list[str]) -> list[str]:
    """Return the error codes in parentheses."""
    return [text.rpartition(" (")[2].partition(")")[0] for text in texts]


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_the_domain_is_the_recorded_one(name: str) -> None:
    assert outcome(name) == recorded_outcome(name)


def test_every_vm_is_either_built_or_refused() -> None:
    assert sorted(BUILT + REFUSED) == GOLDEN_NAMES


@pytest.mark.parametrize("name", BUILT)
def test_the_recorded_domain_is_valid_against_libvirts_schema(name: str) -> None:
    assert schema_errors(etree.fromstring(str(recorded_outcome(name).xml))) == []


@pytest.mark.parametrize("name", REFUSED)
def test_the_problems_of_a_refused_vm_have_documented_codes(name: str) -> None:
    assert set(codes(recorded_outcome(name).messages["problems"])) <= set(ERROR_CODES)


@pytest.mark.parametrize("name", INCOMPLETE)
def test_what_a_host_lacks_has_documented_codes(name: str) -> None:
    assert set(codes(recorded_outcome(name).messages["missing"])) <= set(ERROR_CODES)
