# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role networks: bridges on VLANs, by a real systemd-networkd on Debian's kernel, which has VLAN devices."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.support.emulated_hypervisor import EmulatedHypervisor
from ansible_collections.zstack.kvm.tests.support.networkd_host import ADDRESS, NAMESPACES, SET_UP

pytestmark = [pytest.mark.outside, pytest.mark.timeout(1200)]

PROGRAM = Path(__file__).resolve().parents[2] / "roles/networks/files/bridges"
BRIDGES = [{"uplink": "eth0", "vlan": 100}]
MORE_BRIDGES = [*BRIDGES, {"uplink": "eth0", "move_addresses": True}, {"uplink": "eth0", "vlan": 7}]

# A frame has to be in VLAN 100 to reach that address.
PEER_IN_VLAN = """ip -n peer link add link eth0 name eth0.100 type vlan id 100
ip -n peer address add 10.100.0.2/24 dev eth0.100
ip -n peer link set eth0.100 up
"""
CONNECT = """import socket, subprocess, sys, time
accept = "import socket; socket.create_server(('10.100.0.2', 9)).accept()"
server = subprocess.Popen(["ip", "netns", "exec", "peer", sys.executable, "-c", accept])
while True:
    try:
        socket.create_connection(("10.100.0.2", 9), 5)
        break
    except OSError:
        time.sleep(0.5)
server.wait()
"""


def script() -> str:
    apply = f"/usr/bin/python3 -B {PROGRAM} apply"
    steps = [
        SET_UP + PEER_IN_VLAN,
        f"until ip -4 address show dev eth0 | grep -q {ADDRESS}; do sleep 0.5; done",
        *(f"{apply} {shlex.quote(json.dumps(bridges))} >&2" for bridges in (BRIDGES, MORE_BRIDGES)),
        f'again=$({apply} {shlex.quote(json.dumps(MORE_BRIDGES))}); [ -z "$again" ]',
        "ip address add 10.100.0.1/24 dev br_eth0_100",
        f"/usr/bin/python3 -c {shlex.quote(CONNECT)} >&2",
        "ip -json -details address show",
    ]
    return "\n".join(steps)


def test_vlans_and_a_plain_bridge_share_an_uplink(emulated_hypervisor: EmulatedHypervisor) -> None:
    command = shlex.join([*NAMESPACES, "sh", "-c", script()])
    found = {each["ifname"]: each for each in json.loads(emulated_hypervisor.run(command)) if each}
    assert {name: found[name]["master"] for name in ("eth0", "eth0.100", "eth0.7")} == {
        "eth0": "br_eth0",
        "eth0.100": "br_eth0_100",
        "eth0.7": "br_eth0_7",
    }
    assert [found[f"eth0.{number}"]["linkinfo"]["info_data"]["id"] for number in (7, 100)] == [7, 100]
    assert ADDRESS in [each["local"] for each in found["br_eth0"]["addr_info"]]
