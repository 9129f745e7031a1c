# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired domain has what libvirt writes when it defines it."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.normal_form import (
    normalise_desired,
    normalise_existing,
)
from lxml import etree


def desired(xml: str) -> etree._Element:
    domain = etree.fromstring(f'<domain xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">{xml}</domain>')
    normalise_desired(domain)
    return domain


@pytest.mark.parametrize(
    ("unit", "kib"),
    [
        ("b", "3"),
        ("bytes", "3"),
        ("KB", "2930"),
        ("K", "3000"),
        ("KiB", "3000"),
        ("MB", "2929688"),
        ("MiB", "3072000"),
        ("G", "3145728000"),
        ("TiB", "3221225472000"),
    ],
)
def test_a_size_is_in_kib_rounded_up(unit: str, kib: str) -> None:
    memory = desired(f'<memory unit="{unit}">3000</memory>').find("memory")
    assert (memory.text, memory.get("unit")) == (kib, "KiB")


def test_the_size_of_shared_memory_keeps_its_unit() -> None:
    size = desired('<devices><shmem><size unit="M">4</size></shmem></devices>').find("devices/shmem/size")
    assert (size.text, size.get("unit")) == ("4", "M")


OS = '<os><type arch="%s">hvm</type></os><devices>%s</devices>'


@pytest.mark.parametrize(
    ("xml", "path", "count"),
    [
        ("", "clock[@offset='utc']", 1),
        ('<clock offset="localtime"/>', "clock[@offset='utc']", 0),
        ("", "on_crash", 1),
        (OS % ("x86_64", ""), "devices/controller[@type='usb'][@index='0']", 1),
        (OS % ("x86_64", '<controller type="usb"/>'), "devices/controller", 1),
        (OS % ("aarch64", ""), "devices/controller", 0),
        (OS % ("x86_64", '<disk><target bus="scsi"/></disk>'), "devices/controller[@type='scsi']", 1),
        (OS % ("aarch64", ""), "devices/memballoon", 0),
        (OS % ("x86_64", ""), "devices/memballoon[@model='virtio']", 1),
        (OS % ("x86_64", "<graphics/>"), "devices/video", 1),
        (OS % ("x86_64", "<serial/>"), "devices/console", 1),
    ],
)
def test_what_libvirt_fills_in(xml: str, path: str, count: int) -> None:
    assert len(desired(xml).findall(path)) == count


@pytest.mark.parametrize(
    ("xml", "path", "value"),
    [
        pytest.param(
            '<memory>9</memory><cpu><numa><cell memory="2"/><cell memory="3"/></numa></cpu>',
            "memory",
            "5",
            id="memory is that of the cells",
        ),
        pytest.param("<memory>9</memory>", "currentMemory", "9", id="all memory is used"),
        pytest.param(
            "<memory>9</memory><currentMemory>4</currentMemory>", "currentMemory", "4", id="unless less is desired"
        ),
    ],
)
def test_memory_that_follows_from_other_elements(xml: str, path: str, value: str) -> None:
    assert desired(xml).findtext(path) == value


@pytest.mark.parametrize(
    ("xml", "path", "name", "value"),
    [
        pytest.param("<os/>", "os/boot", "dev", "hd", id="boot from disk"),
        pytest.param('<vcpu current="2">2</vcpu>', "vcpu", "current", None, id="all CPUs"),
        pytest.param('<vcpu current="1">2</vcpu>', "vcpu", "current", "1", id="some CPUs"),
        pytest.param(
            '<devices><controller type="a" index="0"/><controller type="a"/></devices>',
            "devices/controller[2]",
            "index",
            "1",
            id="first free index",
        ),
        pytest.param(
            '<devices><graphics autoport="yes" port="5900"/></devices>', "devices/graphics", "port", None, id="no port"
        ),
        pytest.param(
            '<devices><graphics><listen type="address" address="::"/></graphics></devices>',
            "devices/graphics",
            "listen",
            "::",
            id="listen address",
        ),
        pytest.param(
            '<cpu><model fallback="allow" vendor_id="v"/></cpu>', "cpu/model", "fallback", None, id="no fallback"
        ),
    ],
)
def test_an_attribute_that_follows_from_other_elements(xml: str, path: str, name: str, value: Optional[str]) -> None:
    assert desired(xml).find(path).get(name) == value


def test_a_boot_order_of_a_device_implies_no_boot_by_kind() -> None:
    assert desired('<os/><devices><disk><boot order="1"/></disk></devices>').find("os/boot") is None


def test_command_lines_are_joined_in_order() -> None:
    lines = '<qemu:commandline><qemu:arg value="%s"/></qemu:commandline>'
    (line,) = desired(lines % 1 + lines % 2).findall("{*}commandline")
    assert [each.get("value") for each in line] == ["1", "2"]


@pytest.mark.parametrize("tag", ["auth", "encryption"])
def test_credentials_beside_a_source_move_into_it(tag: str) -> None:
    domain = etree.fromstring(f"<domain><devices><disk><{tag}/><source/></disk></devices></domain>")
    normalise_existing(domain)
    assert [part.getparent().tag for part in domain.iter(tag)] == ["source"]


@pytest.mark.parametrize(("source", "kind"), [("", "file"), ('<source dev="/dev/sr0"/>', "block")])
def test_an_empty_drive_has_the_type_file(source: str, kind: str) -> None:
    drive = f'<disk type="block" device="cdrom">{source}</disk>'
    domain = etree.fromstring(f"<domain><devices>{drive}</devices></domain>")
    normalise_existing(domain)
    assert domain.find("devices/disk").get("type") == kind
