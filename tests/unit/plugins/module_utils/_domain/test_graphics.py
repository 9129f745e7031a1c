# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphical consoles as libvirt gets them: which, where, with what password and channels."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DeviceSupport
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree


def built(has_spice_tls: bool = False, **options: Any) -> DesiredDomain:
    """Return the domain of a VM, on a host with or without TLS for spice."""
    host = recorded_host("debian-12")._replace(device_support=DeviceSupport(has_spice_tls=has_spice_tls))
    desired = build(parsed_vm(**options), host, StorageFacts({}))
    assert schema_errors(desired.element) == []
    return desired


def graphics(**options: Any) -> list[etree._Element]:
    return built(**options).element.findall("devices/graphics")


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [("vnc", ["vnc"]), ("spice", ["spice"]), ("vnc_and_spice", ["vnc", "spice"]), ("none", [])],
)
def test_a_vm_has_the_consoles_of_its_mode(mode: str, kinds: list[str]) -> None:
    assert [each.get("type") for each in graphics(console_mode=mode)] == kinds


def test_both_consoles_have_the_password_and_the_address() -> None:
    found = graphics(console_mode="vnc_and_spice", console_password="s3cret", host_management_ip="10.0.0.5")
    assert [each.get("passwd") for each in found] == ["s3cret", "s3cret"]
    assert [each.find("listen").get("address") for each in found] == ["10.0.0.5", "10.0.0.5"]


@pytest.mark.parametrize(
    ("console", "management", "address"),
    [(None, None, "127.0.0.1"), (None, "10.0.0.5", "10.0.0.5"), ("::1", "10.0.0.5", "::1")],
)
def test_the_console_listens_on_the_given_or_the_management_address(
    console: Any, management: Any, address: str
) -> None:
    (vnc,) = graphics(console_listen=console, host_management_ip=management)
    assert vnc.find("listen").get("address") == address


@pytest.mark.parametrize(
    ("option", "element"), [("spice_clipboard", "clipboard"), ("spice_file_transfer", "filetransfer")]
)
def test_what_spice_exchanges_with_the_guest_is_off_unless_it_is_set(option: str, element: str) -> None:
    states = [graphics(console_mode="spice", **{option: given})[0].find(element) for given in (False, True)]
    assert [next(iter(state.attrib.values())) for state in states] == ["no", "yes"]


def test_channels_are_secure_where_the_host_has_tls() -> None:
    desired = built(True, console_mode="spice", spice_secure_channels=["main", "inputs"])
    found = desired.element.findall("devices/graphics/channel")
    assert [dict(each.attrib) for each in found] == [
        {"name": "main", "mode": "secure"},
        {"name": "inputs", "mode": "secure"},
    ]
    assert desired.warnings == ()


def test_channels_without_tls_on_the_host_are_a_warning() -> None:
    desired = built(console_mode="spice", spice_secure_channels=["main"])
    assert desired.element.find("devices/graphics/channel") is None
    (warning,) = desired.warnings
    assert warning == "vms[0].spice_secure_channels has no effect: the host's qemu.conf does not set spice_tls"
