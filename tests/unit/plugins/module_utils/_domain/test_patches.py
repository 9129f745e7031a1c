# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What patches cannot do; what they can is in the recorded domain C(patched)."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.patches import apply_patches
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import DomainPatch
from lxml import etree

ENTITY = '<!DOCTYPE a [<!ENTITY file SYSTEM "file:///etc/passwd">]><a>&file;</a>'


def problems_of(*patches: DomainPatch) -> list[Problem]:
    domain = etree.fromstring("<domain><name>n</name><uuid>u</uuid><devices/></domain>")
    problems: list[Problem] = []
    apply_patches(domain, patches, problems)
    return problems


def test_all_patches_that_fail_are_named() -> None:
    patches = [DomainPatch("p[%d]" % number, "set", "nothing", "x") for number in range(3)]

    assert [problem.option_path for problem in problems_of(*patches)] == ["p[0]", "p[1]", "p[2]"]


@pytest.mark.parametrize("value", [ENTITY, "&file;", "<a>&#0;</a>", "</patch><patch>"])
def test_a_value_that_is_no_element_is_refused(value: str) -> None:
    (problem,) = problems_of(DomainPatch("p", "add", "devices", value))

    assert problem.code == "patch_failed"


@pytest.mark.parametrize("xpath", ['document("/etc/passwd")', "qemu:x[", "unknown:x", "//x[y()]"])
def test_an_xpath_that_cannot_be_used_is_refused(xpath: str) -> None:
    (problem,) = problems_of(DomainPatch("p", "remove", xpath, None))

    assert problem.code == "patch_failed"
