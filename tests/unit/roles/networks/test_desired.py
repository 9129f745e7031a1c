# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of bridges: ZStack's names, and what is wrong without a look at the hypervisor."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.roles.networks.program import bridge, module

desired = module("desired")


def problems(*options: dict[str, Any]) -> list[str]:
    return list(desired.option_problems(desired.read_bridges(list(options))))


@pytest.mark.parametrize(
    ("options", "name", "port"),
    [
        ({"uplink": "eth0"}, "br_eth0", "eth0"),
        ({"uplink": "eth0", "vlan": 100}, "br_eth0_100", "eth0.100"),
        ({"uplink": "eth0", "vlan": 100, "name": "guests"}, "guests", "eth0.100"),
        ({"name": "inner"}, "inner", None),
    ],
)
def test_names_are_zstacks_by_default(options: dict[str, Any], name: str, port: str | None) -> None:
    found = bridge(**options)
    assert (found.name, found.port) == (name, port)


def test_nothing_is_wrong_with_a_plain_bridge_and_two_vlans_of_one_uplink() -> None:
    assert problems({"uplink": "eth0"}, {"uplink": "eth0", "vlan": 1}, {"uplink": "eth0", "vlan": 4094}) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, ".name: is required without an uplink"),
        ({"name": "a", "vlan": 7}, ".vlan: needs an uplink"),
        ({"name": "a", "move_addresses": True}, ".move_addresses: needs an uplink"),
        ({"uplink": "eth0", "vlan": 0}, ".vlan: 0 is not from 1 to 4094"),
        ({"uplink": "eth0", "vlan": 4095}, ".vlan: 4095 is not from 1 to 4094"),
        ({"uplink": "eth0", "name": "br/0"}, ".name: 'br/0' is no name of a network device"),
        ({"uplink": "-eth0", "name": "br0"}, ".uplink: '-eth0' is no name of a network device"),
        ({"uplink": "eth0", "name": "b" * 16}, ".name: the device name %s has more than 15 characters" % ("b" * 16)),
        ({"uplink": "enp129s0f0np0", "vlan": 100, "name": "a"}, ".vlan: the device name enp129s0f0np0.100 has more"),
    ],
)
def test_each_problem_has_its_path(options: dict[str, Any], message: str) -> None:
    (problem,) = problems(options)
    assert problem.startswith("networks_bridges[0]" + message)


def test_what_two_bridges_cannot_both_have() -> None:
    assert problems({"uplink": "eth0"}, {"uplink": "eth0", "name": "other"}, {"name": "other"}) == [
        "networks_bridges[1].uplink: eth0 is already in the bridge of networks_bridges[0]",
        "networks_bridges[2].name: other is also the name of networks_bridges[1]",
    ]
