# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A patch that libvirt rewrites is recorded, and is no drift as long as both stay the same."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.metadata import REWRITTEN_NAMESPACE
from ansible_collections.zstack.kvm.plugins.module_utils._drift.live_drift import live_drift
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile, rewritten
from lxml import etree

# What libvirt fills in.
FILLED_IN = """<currentMemory>1024</currentMemory><os><type>hvm</type><boot dev="hd"/></os><clock offset="utc"/>
<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>"""
UNPATCHED = etree.fromstring("<domain><memory>1024</memory>%s<devices/></domain>" % FILLED_IN)
DESIRED = (
    """
<domain><memory>1024</memory>%s
  <keywrap><cipher><entry name="product">p</entry><entry name="vendor">v</entry></cipher></keywrap>
  <devices><graphics type="vnc" port="-1"/><video/></devices>
</domain>
"""
    % FILLED_IN
)
# libvirt has sorted the entries, and given the console a port.
DEFINED = (
    """
<domain><metadata/><memory>1024</memory>%s
  <keywrap><cipher><entry name="vendor">v</entry><entry name="product">p</entry></cipher></keywrap>
  <devices><graphics type="vnc" port="5900"/><video/></devices>
</domain>
"""
    % FILLED_IN
)


def domain(text: str, *replacements: tuple[str, str]) -> etree._Element:
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return etree.fromstring(text, etree.XMLParser(remove_blank_text=True))


def recorded(defined: etree._Element, desired: str = DESIRED) -> etree._Element:
    """Return the definition with the record of what libvirt has rewritten."""
    record = rewritten(domain(desired), UNPATCHED, defined)
    assert record is not None
    record = record.replace("<rewritten>", '<rewritten xmlns="%s">' % REWRITTEN_NAMESPACE)
    defined.find("metadata").append(etree.fromstring(record))
    return defined


def differences(
    existing: etree._Element, *changes: tuple[str, str], unpatched: Optional[etree._Element] = UNPATCHED
) -> list[str]:
    return [found.path for found in reconcile(domain(DESIRED, *changes), existing, unpatched).differences]


def test_it_is_drift_until_it_is_recorded() -> None:
    assert len(differences(domain(DEFINED))) == 5
    assert differences(recorded(domain(DEFINED))) == []


def test_another_desired_value_is_drift() -> None:
    paths = differences(recorded(domain(DEFINED)), (">p<", ">other<"))

    assert {path.partition("/")[0] for path in paths} == {"keywrap"}


def test_another_actual_value_is_drift() -> None:
    existing = recorded(domain(DEFINED))
    existing.find("devices/graphics").set("port", "5999")

    assert differences(existing) == ["devices/graphics[type=vnc]/@port"]


def test_a_change_in_a_rewritten_section_is_repaired_as_a_whole() -> None:
    existing = recorded(domain(DEFINED))
    existing.find("keywrap/cipher/entry[@name='product']").text = "other"
    merged = reconcile(domain(DESIRED), existing, UNPATCHED).merged

    assert dict(zip(merged.xpath("keywrap/cipher/entry/@name"), merged.xpath("keywrap/cipher/entry/text()"))) == {
        "product": "p",
        "vendor": "v",
    }


def test_it_stays_when_something_else_changes() -> None:
    existing = recorded(domain(DEFINED))
    merged = reconcile(domain(DESIRED, ("memory>1024", "memory>2048")), existing, UNPATCHED).merged

    assert merged.findtext("memory") == "2048"
    assert merged.find("devices/graphics").get("port") == "5900"
    assert [entry.text for entry in merged.iterfind("keywrap/cipher/entry")] == ["v", "p"]


def test_without_patches_the_record_is_ignored_and_removed() -> None:
    existing = recorded(domain(DEFINED))
    result = reconcile(domain(DESIRED), existing)

    assert len(result.differences) == 5
    assert REWRITTEN_NAMESPACE not in etree.tostring(result.merged).decode()


def test_the_record_has_no_fingerprint_of_a_secret() -> None:
    with_password = DESIRED.replace('type="vnc"', 'type="vnc" passwd="s3cret"')

    assert rewritten(domain(with_password), UNPATCHED, domain(DEFINED)) == rewritten(
        domain(DESIRED), UNPATCHED, domain(DEFINED)
    )


def test_what_libvirt_has_not_rewritten_leaves_no_record() -> None:
    assert rewritten(domain(DESIRED), UNPATCHED, domain(DESIRED)) is None


class TestOfARunningVm:
    def test_what_runs_is_as_the_definition_has_it(self) -> None:
        running = domain(DEFINED, ("<domain>", '<domain id="1">'))

        assert live_drift(domain(DESIRED), running, {}, domain(DEFINED)).differences == ()

    def test_what_the_next_boot_changes_is_drift(self) -> None:
        running = domain(DEFINED, ("5900", "5999"))
        (difference,) = live_drift(domain(DESIRED), running, {}, domain(DEFINED)).differences

        assert difference.path == "devices/graphics[type=vnc]/@port"


@pytest.mark.parametrize("policy", ["optional", "requisite"])
def test_a_drive_that_libvirt_left_empty_at_the_start_is_in_sync(policy: str) -> None:
    drive = """<domain>%s<devices><disk type="file" device="cdrom"><driver name="qemu" type="raw"/>%s
    <target dev="sda" bus="sata"/></disk></devices></domain>""" % (FILLED_IN, "%s")
    desired = domain(drive % '<source file="/cd.iso" startupPolicy="%s"/>' % policy)
    running = domain(drive % "")

    assert live_drift(desired, running, {}).differences == ()
    assert live_drift(domain(drive % '<source file="/cd.iso" startupPolicy="mandatory"/>'), running, {}).differences


def paths_of(desired: str, existing: str) -> list[str]:
    return [found.path for found in reconcile(domain(desired), domain(existing)).differences]


class TestFirmware:
    SECURE = """<domain><os firmware="efi"><firmware><feature enabled="yes" name="enrolled-keys"/>
    <feature enabled="yes" name="secure-boot"/></firmware>
    <loader readonly="yes" secure="yes" type="pflash">/OVMF.ms.fd</loader>
    <nvram template="/VARS.ms.fd" templateFormat="raw">/nvram/vm.fd</nvram></os></domain>"""
    PLAIN = '<domain><os firmware="efi"><firmware><feature enabled="no" name="secure-boot"/></firmware></os></domain>'

    def test_what_was_chosen_for_secure_boot_goes_with_it(self) -> None:
        merged = reconcile(domain(self.PLAIN), domain(self.SECURE)).merged

        assert [dict(each.attrib) for each in merged.iterfind("os/firmware/feature")] == [
            {"enabled": "no", "name": "secure-boot"}
        ]
        assert merged.find("os/loader") is None
        assert (merged.find("os/nvram").attrib, merged.findtext("os/nvram")) == ({}, "/nvram/vm.fd")

    def test_what_libvirt_says_of_the_firmware_that_it_chose_stays(self) -> None:
        chosen = self.PLAIN.replace("</firmware>", '<feature enabled="no" name="enrolled-keys"/></firmware><loader/>')

        assert not [path for path in paths_of(self.PLAIN, chosen) if path.startswith(("os/firmware", "os/loader"))]


def test_invalid_numbers_raise_nothing() -> None:
    text = """<domain><memory unit="MiB">%(n)s</memory><vcpu current="%(n)s">%(n)s</vcpu>
    <cpu><numa><cell id="0" memory="%(n)s"/></numa></cpu>
    <devices><disk><target dev="vda"/><address type="pci" bus="%(n)s" slot="%(n)s"/></disk>
    <memory model="dimm"><target><size>%(n)s</size></target></memory>
    <hostdev type="usb"><source><vendor id="%(n)s"/><product id="%(n)s"/></source></hostdev></devices></domain>"""
    for number in ("a", "0xz", "²", "-1", "9" * 5000):
        strange = domain(text % {"n": number})
        assert reconcile(strange, domain(text % {"n": "1"})).differences
        live_drift(strange, domain(text % {"n": "2"}), {})
