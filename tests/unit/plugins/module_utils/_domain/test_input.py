# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyboard and tablet."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain

TABLET = {"type": "tablet", "bus": "usb"}
KEYBOARD = {"type": "keyboard", "bus": "usb"}


@pytest.mark.parametrize(
    ("host", "options", "inputs"),
    [
        pytest.param("debian-12", {}, [TABLET], id="a PC has a keyboard of its own"),
        pytest.param("el-7-aarch64", {}, [TABLET, KEYBOARD], id="aarch64"),
        pytest.param("debian-12", {"appliance": True}, [], id="appliance"),
        pytest.param("el-7-aarch64", {"appliance": True}, [], id="appliance on aarch64"),
    ],
)
def test_a_vm_has_what_its_machine_lacks(host: str, options: dict[str, Any], inputs: list[dict[str, str]]) -> None:
    assert attributes(domain(host, **options), "devices/input") == inputs


def test_each_has_a_port_of_the_first_controller() -> None:
    assert attributes(domain("el-7-aarch64"), "devices/input/address") == [
        {"type": "usb", "bus": "0", "port": "1"},
        {"type": "usb", "bus": "0", "port": "2"},
    ]
