# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network devices of the hypervisor, and the bridges that cannot be created on them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.roles.networks.program import bridge, by_name, device, module

host = module("host")

ETH0 = device("eth0", addresses=("10.0.0.1/24",))
FREE = device("eth1", 3)


def problems(options: dict[str, Any], *devices: Any, in_use: str = "") -> list[str]:
    return list(host.device_problems([bridge(**options)], by_name(*devices), {in_use}))


def test_the_devices_in_the_output_of_ip() -> None:
    addresses = [
        {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
        {"local": "2001:db8::5", "prefixlen": 64, "scope": "global"},
        {"local": "2001:db8::6", "prefixlen": 64, "scope": "global", "temporary": True},
        {"local": "10.0.0.1", "prefixlen": 24, "scope": "global", "dynamic": True},
    ]
    vlan = {"info_kind": "vlan", "info_data": {"protocol": "802.1Q", "id": 100}}
    found = [
        {"ifname": "lo", "ifindex": 1, "flags": ["LOOPBACK", "UP"], "address": "00:00:00:00:00:00"},
        {"ifname": "eth0", "ifindex": 2, "flags": ["UP"], "address": "fa:00:00:00:00:01", "addr_info": addresses},
        {"ifname": "eth0.100", "ifindex": 3, "link": "eth0", "master": "br_eth0_100", "linkinfo": vlan},
        {},
    ]
    assert host.parse_devices(found) == by_name(
        device("lo", 1, mac="00:00:00:00:00:00", is_loopback=True),
        device("eth0", 2, addresses=("10.0.0.1/24", "2001:db8::5/64")),
        device("eth0.100", 3, kind="vlan", master="br_eth0_100", parent="eth0", vlan=100, mac=""),
    )


@pytest.mark.parametrize(
    ("options", "devices"),
    [
        ({"uplink": "eth1"}, [FREE]),
        ({"name": "inner"}, []),
        ({"name": "inner"}, [device("inner", kind="bridge")]),
        ({"uplink": "eth0", "move_addresses": True}, [ETH0]),
        ({"uplink": "eth0", "vlan": 7}, [ETH0]),
        ({"uplink": "eth0", "vlan": 7}, [ETH0._replace(master="br_eth0"), device("br_eth0", kind="bridge")]),
        ({"uplink": "bond0", "vlan": 7}, [device("bond0", kind="bond")]),
        ({"uplink": "eth0", "vlan": 7}, [ETH0, device("eth0.7", kind="vlan", parent="eth0", vlan=7)]),
        ({"uplink": "eth0"}, [ETH0._replace(master="br_eth0"), device("br_eth0", kind="bridge")]),
    ],
)
def test_no_problem(options: dict[str, Any], devices: list[Any]) -> None:
    assert problems(options, *devices) == []


@pytest.mark.parametrize(
    ("options", "devices", "message"),
    [
        (
            {"name": "br0"},
            [device("br0", kind="dummy")],
            ".name: the hypervisor has another device br0, of the kind dummy",
        ),
        ({"name": "br0"}, [device("br0")], ".name: the hypervisor has another device br0, a network card"),
        ({"uplink": "eth9"}, [], ".uplink: the hypervisor has no network device eth9"),
        ({"uplink": "lo"}, [device("lo", is_loopback=True)], ".uplink: lo is the loopback device"),
        ({"uplink": "br0"}, [device("br0", kind="bridge")], ".uplink: br0 is a bridge"),
        ({"uplink": "eth1"}, [FREE._replace(master="br0")], ".uplink: eth1 is already a port of br0"),
        ({"uplink": "eth0"}, [ETH0], ".uplink: eth0 has the addresses 10.0.0.1/24, by which Ansible may be connected"),
        (
            {"uplink": "eth1", "vlan": 7},
            [FREE._replace(master="bond0"), device("bond0", kind="bond")],
            ".uplink: eth1 is a port of bond0: use that as the uplink",
        ),
        (
            {"uplink": "eth1", "vlan": 7},
            [FREE, device("eth1.7", kind="vlan", parent="eth0", vlan=8)],
            ".vlan: the hypervisor has another device eth1.7, VLAN 8 of eth0, not VLAN 7 of eth1",
        ),
        (
            {"uplink": "eth1", "vlan": 7},
            [FREE, device("eth1.7", kind="vlan", parent="eth1", vlan=7, addresses=("10.7.0.1/24",))],
            ".vlan: eth1.7 has the addresses 10.7.0.1/24",
        ),
    ],
)
def test_each_problem_has_its_path(options: dict[str, Any], devices: list[Any], message: str) -> None:
    (problem,) = problems(options, *devices)
    assert problem.startswith("networks_bridges[0]" + message)


def test_a_link_local_address_that_a_connection_uses_is_lost_whatever_is_moved() -> None:
    (problem,) = problems({"uplink": "eth0", "move_addresses": True}, ETH0, in_use="eth0")
    assert "a connection uses the link-local address of eth0" in problem


def test_programs_speak_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert host.run("sh", "-c", "echo $LC_ALL") == "C\n"


@pytest.mark.parametrize(
    ("command", "message"), [(["sh", "-c", "echo no >&2; exit 3"], "no"), (["nothing-like-it"], "")]
)
def test_a_program_that_fails_is_named(command: list[str], message: str) -> None:
    with pytest.raises(host.CommandError) as raised:
        host.run(*command)
    assert command[0] in str(raised.value)
    assert message in str(raised.value)
