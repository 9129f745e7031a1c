# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backends of storage share the forms of hosts, URLs and sources."""

from __future__ import annotations

import json
from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import (
    Address,
    DiskSource,
    Inquiry,
    StorageItem,
    add_auth,
    bracketed,
    check_url,
    host_name,
    image_options,
    network_source,
    option_path_of,
    path_of,
)
from ansible_collections.zstack.kvm.plugins.module_utils._storage.file import FileBackend
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import SECRET, cdrom, volume
from lxml import etree


@pytest.mark.parametrize(
    ("item", "path", "option_path"),
    [
        (volume("file", "/root"), "/root", "vms[0].data_volumes[0].install_path"),
        (cdrom("/cd.iso"), "/cd.iso", "vms[0].boot_iso[0].path"),
    ],
    ids=["volume", "CD"],
)
def test_an_item_has_a_path_and_the_path_of_its_option(item: StorageItem, path: str, option_path: str) -> None:
    assert (path_of(item), option_path_of(item)) == (path, option_path)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("10.0.9.1", "10.0.9.1"),
        ("mon-a.example", "mon-a.example"),
        ("[2001:db8:0::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[10.0.9.1]", None),
        ("[::1", None),
        ("::1]", None),
        ("fe80::1%eth0", None),
        ("no_host", None),
        ("", None),
    ],
)
def test_a_host_is_one_that_libvirts_schema_accepts(text: str, host: Optional[str]) -> None:
    assert host_name(text) == host


@pytest.mark.parametrize(("host", "written"), [("10.0.9.1", "10.0.9.1"), ("::1", "[::1]")])
def test_an_ipv6_address_is_in_brackets_before_a_port(host: str, written: str) -> None:
    assert bracketed(host) == written


@pytest.mark.parametrize(
    ("address", "text"),
    [(Address("::1", 3260), "[::1]:3260"), (Address("mon", 6789), "mon:6789"), (Address("/run/s"), "/run/s")],
)
def test_an_address_reads_in_messages(address: Address, text: str) -> None:
    assert str(address) == text


@pytest.mark.parametrize(
    ("path", "messages"),
    [
        ("nbd://h/a", []),
        ("ceph://h/a", ["'ceph://h/a' does not have the form nbd://HOST"]),
        ("nbd://h/\n", ["'nbd://h/\\n' contains control characters"]),
    ],
)
def test_a_url_has_its_scheme_and_no_control_characters(path: str, messages: list[str]) -> None:
    found = check_url(volume("file", path), "nbd://", "nbd://HOST")
    assert [problem.message for problem in found] == messages


def test_the_source_of_a_network_disk_has_its_hosts_and_authentication() -> None:
    source = network_source("rbd", "pool/image", [("a", 1), ("::1", 2)])
    add_auth(source, "zstack", "ceph", SECRET)
    assert etree.tostring(source, encoding="unicode") == (
        '<source protocol="rbd" name="pool/image"><host name="a" port="1"/><host name="::1" port="2"/>'
        f'<auth username="zstack"><secret type="ceph" uuid="{SECRET}"/></auth></source>'
    )


def test_a_disk_is_raw_and_of_one_vm_unless_its_storage_says_otherwise() -> None:
    source = DiskSource("file", etree.Element("source"))
    assert (source.driver_type, source.device, source.snapshot, source.shareable, source.bus) == (
        "raw",
        "disk",
        None,
        False,
        None,
    )


def test_the_input_of_an_inquiry_is_no_secret_unless_it_is_said_to_be_one() -> None:
    assert Inquiry("/root") == Inquiry("/root", None, False)


def test_the_options_of_an_image_may_have_any_characters() -> None:
    options = {"driver": "rbd", "image": 'a:b,c="d"'}
    prefix, _colon, text = image_options(**options).partition(":")
    assert (prefix, json.loads(text)) == ("json", options)


@pytest.mark.parametrize(
    ("reason", "code", "message"),
    [
        ("Unknown driver 'rbd'", "unsupported_device", "the hypervisor's QEMU has no driver for rbd"),
        ("Unknown protocol 'iscsi'", "unsupported_device", "the hypervisor's QEMU has no driver for iscsi"),
        ("Permission denied", "image_unreadable", "qemu-img cannot open /root: Permission denied"),
    ],
)
def test_what_qemu_img_says_has_a_code(reason: str, code: str, message: str) -> None:
    assert FileBackend().explain(volume("file", "/root"), reason) == (code, message)
