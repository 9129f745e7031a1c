# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""USB devices of the spice client, and those that another host serves."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import (
    attributes,
    built,
    domain,
    host_with,
)

REDIRECT = {"console_mode": "spice", "video_type": "vga", "usb_redirect": True}
SERVED = "1:3:0781:5567:2.0:Redirect:4000:10.0.9.7"


def test_a_client_may_redirect_four_devices() -> None:
    assert attributes(domain(**REDIRECT), "devices/redirdev") == [{"bus": "usb", "type": "spicevmc"}] * 4


def test_they_have_the_ports_of_zstack() -> None:
    found = attributes(domain(**REDIRECT), "devices/redirdev/address")

    assert [(each["bus"], each["port"]) for each in found] == [("0", "2"), ("0", "3"), ("0", "4"), ("0", "6")]


def test_without_redirection_there_is_none() -> None:
    assert domain(console_mode="spice").find("devices/redirdev") is None


def test_a_served_device_is_reached_at_its_server_again_and_again() -> None:
    found = domain(usb_devices=[SERVED])

    assert attributes(found, "devices/redirdev") == [{"bus": "usb", "type": "tcp"}]
    assert attributes(found, "devices/redirdev/source") == [{"mode": "connect", "host": "10.0.9.7", "service": "4000"}]
    assert attributes(found, "devices/redirdev/source/reconnect") == [{"enabled": "yes", "timeout": "5"}]


def test_a_served_device_has_a_port_for_its_version() -> None:
    found = attributes(domain(usb_devices=[SERVED]), "devices/redirdev/address")

    assert found == [{"type": "usb", "bus": "1", "port": "1"}]


def test_a_device_of_the_host_itself_is_not_redirected() -> None:
    assert domain(usb_devices=["1:3:0781:5567:2.0"]).find("devices/redirdev") is None


@pytest.mark.parametrize(
    ("options", "option", "hint"),
    [
        (REDIRECT, "usb_redirect", "set usb_redirect to false"),
        ({"usb_devices": [SERVED]}, "usb_devices", "leave out the redirected devices"),
    ],
)
def test_a_qemu_that_cannot_redirect_lacks_it(options: dict[str, Any], option: str, hint: str) -> None:
    host = host_with("el-9", redirdev_buses=(), graphics=None)
    (problem,) = built(host, **options).missing

    assert (problem.option_path, problem.code, problem.hint) == ("vms[0]." + option, "unsupported_device", hint)
    assert problem.message == "the host's QEMU cannot redirect USB devices"


@pytest.mark.parametrize(
    ("buses", "options"),
    [
        pytest.param((), {"usb_devices": ["1:3:0781:5567:2.0"]}, id="nothing is redirected"),
        pytest.param(("usb",), REDIRECT, id="the host offers it"),
        pytest.param(None, REDIRECT, id="the host does not report it"),
    ],
)
def test_nothing_is_missing_where_redirection_is_not_needed_or_there(
    buses: Optional[tuple[str, ...]], options: dict[str, Any]
) -> None:
    assert built(host_with("el-9", redirdev_buses=buses, graphics=None), **options).missing == ()
