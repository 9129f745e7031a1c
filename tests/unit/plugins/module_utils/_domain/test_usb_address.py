# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every USB device has a port of its own, on a controller that the VM has."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain
from lxml import etree

DEVICES = ["1:2:046d:c077:1.1", "1:3:0781:5567:2.0", "2:4:1d6b:0003:3.0:Redirect:4000:10.0.9.7"]
SPICE = {"console_mode": "spice", "usb_redirect": True}
VMS = [
    pytest.param("debian-12", {"usb_devices": DEVICES}, id="PC"),
    pytest.param("debian-12", {**SPICE, "usb_devices": DEVICES}, id="PC with redirection"),
    pytest.param(
        "debian-12",
        {**SPICE, "separate_usb_redirection": True, "usb_devices": DEVICES},
        id="PC with redirection on separate controllers",
    ),
    pytest.param("debian-12", {"appliance": True, "usb_devices": DEVICES}, id="appliance"),
    pytest.param("el-7-aarch64", {"usb_devices": DEVICES}, id="aarch64"),
]


def addresses(found: etree._Element) -> list[tuple[str, str]]:
    """Return bus and port of every USB device."""
    return [(each["bus"], each["port"]) for each in attributes(found, "devices/*/address[@type='usb']")]


@pytest.mark.parametrize(("host", "options"), VMS)
def test_each_device_has_a_port_of_its_own(host: str, options: dict[str, Any]) -> None:
    found = addresses(domain(host, **options))

    assert sorted(set(found)) == sorted(found)


@pytest.mark.parametrize(("host", "options"), VMS)
def test_the_bus_is_the_index_of_a_controller(host: str, options: dict[str, Any]) -> None:
    found = domain(host, **options)
    indexes = {each["index"] for each in attributes(found, "devices/controller[@type='usb']")}

    assert {bus for bus, _port in addresses(found)} <= indexes


def test_ports_are_counted_from_1() -> None:
    assert addresses(domain(usb_devices=DEVICES)) == [("0", "1"), ("0", "2"), ("1", "1"), ("2", "1")]
