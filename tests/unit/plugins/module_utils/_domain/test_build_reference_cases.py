# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded StartVmCmd becomes a domain with the meaning of the agent's, except for the listed deviations."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.tests.support.deviations import DEVIATIONS, Deviation, expected_domain
from ansible_collections.zstack.kvm.tests.support.domain_meaning import meaning_of, normal_form
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, CASES, Case
from lxml import etree

every_case = pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: "%s.%s" % (case.name, case.arch))


@every_case
def test_the_domain_means_what_the_agents_domain_means(case: Case) -> None:
    desired = case.build()

    assert not desired.missing
    assert meaning_of(desired.element, case.arch) == meaning_of(expected_domain(case), case.arch)


@every_case
def test_the_domain_is_valid_against_libvirts_schema(case: Case) -> None:
    assert schema_errors(case.build().element) == []


# What its QEMU is built without.
LACKED_BY_ENTERPRISE_LINUX = {
    "console_mode": "the host does not offer spice (it has: vnc, ",
    "video_type": "the host does not offer qxl (it has: vga, ",
    "usb_redirect": "the host's QEMU cannot redirect USB devices",
}


@pytest.mark.parametrize("host", ["el-9", "el-10"])
@pytest.mark.parametrize("case", [case for case in ALL_CASES if case.arch == "x86_64"], ids=lambda case: case.name)
def test_on_recorded_hosts_the_domain_is_valid_and_lacks_only_what_they_do_not_support(case: Case, host: str) -> None:
    desired = build(case.vm(emulator=None), recorded_host(host), case.facts)

    assert schema_errors(desired.element) == []
    assert [str(problem) for problem in desired.missing if not _is_lacked_by_enterprise_linux(problem)] == []


# Debian 13 has it under another name.
PLAIN_FIRMWARE = {"/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd": "/usr/share/AAVMF/AAVMF_CODE.fd"}


@pytest.mark.parametrize("host", ["debian-13", "debian-unstable"])
@every_case
def test_newer_debians_get_the_domain_of_debian_12(case: Case, host: str) -> None:
    vm = case.vm(domain_type="qemu", arch=case.arch, emulator=None)
    desired = build(vm, recorded_host(host), case.facts)
    for loader in desired.element.iterfind("os/loader"):
        loader.text = PLAIN_FIRMWARE.get(loader.text, loader.text)

    assert desired.missing == ()
    assert etree.tostring(desired.element) == etree.tostring(build(vm, recorded_host("debian-12"), case.facts).element)


def _is_lacked_by_enterprise_linux(problem: Problem) -> bool:
    message = LACKED_BY_ENTERPRISE_LINUX.get(problem.option_path.rpartition(".")[2])
    return problem.code == "unsupported_device" and message is not None and problem.message.startswith(message)


@pytest.mark.parametrize(
    "deviation", [each for each in DEVIATIONS if each.apply is not None], ids=lambda deviation: deviation.row
)
def test_every_listed_deviation_is_needed_by_a_case(deviation: Deviation) -> None:
    def is_needed_by(case: Case) -> bool:
        assert deviation.apply is not None
        domain = normal_form(case.reference, case.arch)
        before = meaning_of(domain, case.arch)
        deviation.apply(domain, case)
        return meaning_of(domain, case.arch) != before

    assert any(is_needed_by(case) for case in ALL_CASES)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.row)
def test_every_deviation_is_documented(deviation: Deviation) -> None:
    documentation = CASES.parent.parent.parent / "docs" / "deviations.md"

    assert "| %s |" % deviation.row in documentation.read_text()


def test_all_recorded_cases_are_tested() -> None:
    assert len(ALL_CASES) == 120
