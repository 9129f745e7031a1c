# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live XML is compared without the elements that libvirt writes only there."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_form import as_definition
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._drift.running_vm import changes
from lxml import etree


def both(live: str, desired: str = "") -> tuple[str, str]:
    """Return the content of the live and of the desired domain as they are compared."""
    domains = [etree.fromstring("<domain>%s</domain>" % xml) for xml in (live, desired)]
    as_definition(*domains)
    live, desired = ("".join(etree.tostring(child, encoding="unicode") for child in domain) for domain in domains)
    return live, desired


@pytest.mark.parametrize(
    ("live", "desired", "compared"),
    [
        pytest.param(
            '<seclabel type="dynamic"><label>+1:+1</label></seclabel>', "", '<seclabel type="dynamic"/>', id="label"
        ),
        pytest.param(
            "<cputune><period>100000</period><quota>-1</quota><shares>5</shares></cputune>",
            "",
            "<cputune><shares>5</shares></cputune>",
            id="quota without a limit",
        ),
        pytest.param(
            "<cputune><quota>50000</quota></cputune>",
            "",
            "<cputune><quota>50000</quota></cputune>",
            id="quota with a limit stays",
        ),
        pytest.param(
            "<currentMemory>900</currentMemory>",
            "<currentMemory>1000</currentMemory>",
            "<currentMemory>1000</currentMemory>",
            id="size of the balloon",
        ),
        pytest.param("<metadata><note/></metadata>", "", "", id="metadata"),
        pytest.param(
            '<os><loader type="pflash">/code</loader></os>',
            '<os firmware="efi"/>',
            '<os firmware="efi"><loader type="pflash">/code</loader></os>',
            id="firmware",
        ),
        pytest.param(
            '<cpu mode="custom" check="full"><model>qemu64</model><feature name="svm"/></cpu>',
            "<cpu/>",
            '<cpu mode="custom"/>',
            id="default CPU",
        ),
        pytest.param(
            '<cpu mode="custom"><model>EPYC</model><vendor>AMD</vendor></cpu>',
            '<cpu mode="host-model"/>',
            '<cpu mode="host-model"/>',
            id="CPU of the host",
        ),
        pytest.param(
            '<cpu mode="custom"><model>qemu64</model></cpu>',
            '<cpu mode="host-model"/>',
            '<cpu mode="custom"><model>qemu64</model></cpu>',
            id="default CPU instead of that of the host stays",
        ),
        pytest.param(
            '<cpu mode="custom"><model>EPYC</model></cpu>',
            '<cpu mode="custom"><model>Haswell</model></cpu>',
            '<cpu mode="custom"><model>EPYC</model></cpu>',
            id="another CPU stays",
        ),
    ],
)
def test_the_domain_is_compared_as_it_was_defined(live: str, desired: str, compared: str) -> None:
    assert both(live, desired)[0] == compared


@pytest.mark.parametrize(
    ("live", "compared"),
    [
        pytest.param(
            '<disk device="cdrom"><driver name="qemu"/><source startupPolicy="optional"/></disk>',
            '<disk device="cdrom"><driver name="qemu" type="raw"/></disk>',
            id="empty drive",
        ),
        pytest.param(
            '<interface type="bridge"><source network="default" portid="1" bridge="virbr0"/></interface>',
            '<interface type="network"><source network="default"/></interface>',
            id="NIC on a network",
        ),
        pytest.param(
            "<disk><iotune><read_iops_sec_max_length>1</read_iops_sec_max_length></iotune></disk>",
            "<disk/>",
            id="length of bursts that are not allowed",
        ),
    ],
)
def test_a_device_is_compared_as_it_was_defined(live: str, compared: str) -> None:
    assert both("<devices>%s</devices>" % live)[0] == "<devices>%s</devices>" % compared


def test_libvirts_own_listen_address_is_ignored_where_none_is_desired() -> None:
    live = '<devices><graphics listen="127.0.0.1"><listen type="address" address="127.0.0.1"/></graphics></devices>'
    assert both(live, "<devices><graphics/></devices>")[0] == (
        '<devices><graphics><listen type="address"/></graphics></devices>'
    )


@pytest.mark.parametrize(
    ("policy", "is_empty"), [("optional", True), ("requisite", True), ("mandatory", False)], ids=str
)
def test_a_drive_may_be_empty_if_its_start_up_policy_allows_it(policy: str, is_empty: bool) -> None:
    drive = '<devices><disk device="cdrom">%s<target dev="hdc"/></disk></devices>'
    desired = both(drive % "", drive % f'<source file="/gone.iso" startupPolicy="{policy}"/>')[1]
    assert ("<source" not in desired) is is_empty


class TestCpuThatLibvirtExpanded:
    EXPANDED = ('<model fallback="forbid">qemu64', '<model fallback="forbid">Skylake-Server')

    def test_stands_for_the_hosts_model(self) -> None:
        assert changes(("<cpu>", '<cpu mode="host-model">'), running=(self.EXPANDED,)).differences == ()

    def test_is_none_that_nobody_requested(self) -> None:
        assert changes(running=(self.EXPANDED,)).differences != ()
