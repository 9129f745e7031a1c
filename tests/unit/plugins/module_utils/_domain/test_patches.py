# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of patches, and attributes they create; what else they can do is in the recorded domain C(patched)."""

from __future__ import annotations

import resource

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain import patches as patches_module
from ansible_collections.zstack.kvm.plugins.module_utils._domain.patches import apply_patches
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import DomainPatch
from lxml import etree

ENTITY = '<!DOCTYPE a [<!ENTITY file SYSTEM "file:///etc/passwd">]><a>&file;</a>'


DOMAIN = "<domain><name>n</name><uuid>u</uuid><devices/></domain>"
TWO_DISKS = """<domain><devices><disk><driver io="native" discard="ignore"/></disk><disk><driver name="qemu"/></disk>
<text>a</text></devices></domain>"""
# For each element, each predicate examines all elements again.
SLOW = "//*[count(" * 2 + "//*" + ")>0]" * 2


def problems_of(*patches: DomainPatch, domain: str = DOMAIN) -> list[Problem]:
    return patched(domain, *patches)[1]


def patched(xml: str, *patches: DomainPatch) -> tuple[etree._Element, list[Problem]]:
    domain = etree.fromstring(xml)
    problems: list[Problem] = []
    apply_patches(domain, patches, problems)
    return domain, problems


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


@pytest.mark.parametrize(
    "xpath", ["devices/disk/driver/@discard", " //disk/driver/@discard", "//disk[@a|@b or 1]/*/@discard"]
)
def test_set_creates_an_attribute_that_an_element_lacks(xpath: str) -> None:
    domain, problems = patched(TWO_DISKS, DomainPatch("p", "set", xpath, "unmap"))

    assert problems == []
    assert domain.xpath("devices/disk/driver/@discard") == ["unmap", "unmap"]


def test_also_of_the_domain_itself() -> None:
    assert patched(TWO_DISKS, DomainPatch("p", "set", "@type", "kvm"))[0].get("type") == "kvm"


@pytest.mark.parametrize(
    "xpath", ["//@discard", "devices/disk/driver/@*", "devices/text | devices/disk/driver/@discard"]
)
def test_set_creates_none_where_the_xpath_does_not_name_the_attribute_of_one_element(xpath: str) -> None:
    domain, problems = patched(TWO_DISKS, DomainPatch("p", "set", xpath, "unmap"))

    assert problems == []
    assert domain.xpath("//@discard") == ["unmap"]


@pytest.mark.parametrize("xpath", ["devices/nothing/@discard", "devices/disk/driver/@io/@discard", "devices/text()/@x"])
def test_an_attribute_of_no_element_is_refused(xpath: str) -> None:
    (problem,) = problems_of(DomainPatch("p", "set", xpath, "unmap"), domain=TWO_DISKS)

    assert problem.code == "patch_failed"


def test_an_xpath_that_takes_too_long_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches_module, "_SECONDS", 0.1)
    many = "<domain><devices>%s</devices></domain>" % ("<disk/>" * 500)

    (problem,) = problems_of(
        DomainPatch("p[0]", "set", "@type", "kvm"),
        DomainPatch("p[1]", "remove", SLOW, None),
        DomainPatch("p[2]", "set", "@type", "kvm"),
        domain=many,
    )
    assert (problem.option_path, problem.code) == ("p[1]", "patch_failed")


@pytest.mark.parametrize(
    "patch",
    [
        DomainPatch("p", "add", "//*", "<a/>"),
        DomainPatch("p", "replace", "//*[not(*)][not(self::name or self::uuid)]", "<a/><b/>"),
        DomainPatch("p", "add", "devices", "<a>%s</a>" % ("x" * 100_000)),
        DomainPatch("p", "set", "//*/@long", "x" * 200_000),
    ],
)
def test_patches_that_multiply_the_domain_are_refused_in_little_memory(patch: DomainPatch) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    problems = problems_of(*[patch] * 30)

    assert {problem.code for problem in problems} == {"patch_failed"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_elements_deeper_than_libvirt_reads_are_refused() -> None:
    (problem,) = problems_of(*[DomainPatch("p", "add", "//devices//*[not(*)] | //devices[not(*)]", "<a/>")] * 120)

    assert "deep" in problem.message
