# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs on today's hosts become exactly the recorded domains, and exactly the recorded things are said about them."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES
from ansible_collections.zstack.kvm.tests.support.golden_domains import GOLDEN_NAMES, outcome, recorded_outcome
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from lxml import etree

every_golden = pytest.mark.parametrize("name", GOLDEN_NAMES)


@every_golden
def test_the_domain_is_the_recorded_one(name: str) -> None:
    assert outcome(name) == recorded_outcome(name)


@every_golden
def test_the_recorded_domain_is_valid_against_libvirts_schema(name: str) -> None:
    xml = recorded_outcome(name).xml
    assert xml is None or schema_errors(etree.fromstring(xml)) == []


@every_golden
def test_what_is_said_has_a_documented_code(name: str) -> None:
    said = recorded_outcome(name).said
    codes = [text.rpartition(" (")[2].partition(")")[0] for text in said["missing"] + said["problems"]]

    assert set(codes) <= set(ERROR_CODES)
