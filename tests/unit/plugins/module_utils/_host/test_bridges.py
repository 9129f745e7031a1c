# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridges of NICs, with a simulated sysfs and recorded output of Open vSwitch."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.bridges import (
    BridgePorts,
    connect_port,
    is_neighbour,
    openvswitch_bridge_exists,
)
from ansible_collections.zstack.kvm.plugins.module_utils._host.processes import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import RemoteSystem
from ansible_collections.zstack.kvm.tests.unit.fakes import FakePrograms
from lxml import etree

VM = "0d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
# As ovs-vsctl 3.1 prints it.
TABLES = (
    '{"data":[[["uuid","p0"],"ovsbr"],[["uuid","p1"],"vnet8"],[["uuid","p2"],"lonely"]],"headings":["_uuid","name"]}\n'
    '{"data":[["ovsbr",["set",[["uuid","p0"],["uuid","p1"]]]],["other",["uuid","p2"]],["empty",["set",[]]]],'
    '"headings":["name","ports"]}\n'
)
PLAIN = "<interface type='bridge'><source bridge='br0'/><target dev='%s'/></interface>"
OPENVSWITCH = """<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='%s'/>%s
    <virtualport type='openvswitch'><parameters interfaceid='i1'/></virtualport><target dev='%s'/></interface>"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with vnet0 in br0, vnet1 in br1, vnet2 in none, and vnet7 to vnet9 for Open vSwitch."""
    devices = tmp_path / "sys/devices/virtual/net"
    network = tmp_path / "sys/class/net"
    network.mkdir(parents=True)
    for name in ("vnet0", "vnet1", "vnet2", "vnet7", "vnet8"):
        (devices / name).mkdir(parents=True)
        (network / name).symlink_to(f"../../devices/virtual/net/{name}")
    (devices / "vnet0/master").symlink_to("../br0")
    (devices / "vnet1/master").symlink_to("../br1")
    return tmp_path


def live(*nics: str) -> etree._Element:
    return etree.fromstring("<domain><devices>%s</devices></domain>" % "".join(nics))


def test_sysfs_shows_where_the_nics_on_bridges_of_the_kernel_are(root: Path) -> None:
    system = FakePrograms(root)
    domain = live(*(PLAIN % device for device in ("vnet0", "vnet1", "vnet2", "vnet3")))
    assert BridgePorts(system).of(domain) == {"vnet0": "br0", "vnet1": "br1", "vnet2": "", "vnet3": None}
    assert system.calls == []


def test_open_vswitch_is_queried_once_for_all_vms(root: Path) -> None:
    system = FakePrograms(root, lambda argv: CommandResult(0, TABLES, ""))
    ports = BridgePorts(system)
    first, second = (live(OPENVSWITCH % ("ovsbr", "", device)) for device in ("vnet7", "vnet8"))
    assert (ports.of(first), ports.of(second)) == ({"vnet7": ""}, {"vnet8": "ovsbr"})
    assert len(system.calls) == 1


def test_without_an_answer_of_open_vswitch_its_nics_are_unknown(root: Path) -> None:
    system = FakePrograms(root, lambda argv: CommandResult(1, "", "ovs-vsctl: database connection failed"))
    assert BridgePorts(system).of(live(PLAIN % "vnet2", OPENVSWITCH % ("ovsbr", "", "vnet8"))) == {"vnet2": ""}


def test_nothing_is_known_through_a_remote_uri() -> None:
    assert BridgePorts(RemoteSystem("qemu+ssh://far/system")).of(live(PLAIN % "vnet0")) == {}


def test_nics_without_bridge_or_device_are_none_that_can_be_lost(root: Path) -> None:
    unusual = live("<interface type='user'/>", "<interface type='bridge'><source bridge='br0'/></interface>")
    assert BridgePorts(FakePrograms(root)).of(unusual) == {}


@pytest.mark.parametrize(
    ("bridge", "more", "commands"),
    [
        ("br0", "", ["ip link set dev vnet0 master br0"]),
        ("", "", ["ip link set dev vnet0 nomaster"]),
        (
            "br0",
            "<port isolated='yes'/>",
            ["ip link set dev vnet0 master br0", "ip link set dev vnet0 type bridge_slave isolated on"],
        ),
    ],
)
def test_a_nic_goes_into_a_bridge_of_the_kernel_as_it_was(
    root: Path, bridge: str, more: str, commands: list[str]
) -> None:
    system = FakePrograms(root)
    nic = etree.fromstring((PLAIN % "vnet0").replace("</interface>", more + "</interface>"))
    connect_port(system, nic, VM, "vnet0", bridge)
    assert [" ".join(call) for call in system.calls] == commands


@pytest.mark.parametrize(
    ("vlan", "settings"),
    [
        ("", []),
        ("<vlan><tag id='100'/></vlan>", ["tag=100"]),
        ("<vlan trunk='yes'><tag id='5'/><tag id='6'/></vlan>", ["trunks=5,6"]),
        (
            "<vlan trunk='yes'><tag id='5'/><tag id='6' nativeMode='untagged'/></vlan>",
            ["trunks=5,6", "tag=6", "vlan_mode=native-untagged"],
        ),
    ],
)
def test_a_nic_goes_into_a_bridge_of_open_vswitch_with_its_tags_and_names(
    root: Path, vlan: str, settings: list[str]
) -> None:
    system = FakePrograms(root)
    connect_port(system, etree.fromstring(OPENVSWITCH % ("ovsbr", vlan, "vnet8")), VM, "vnet8", "ovsbr")
    assert system.calls == [
        ["ovs-vsctl", "--timeout=5", "--", "--if-exists", "del-port", "vnet8", "--", "add-port", "ovsbr", "vnet8"]
        + settings
        + ["--", "set", "Interface", "vnet8", 'external-ids:attached-mac="52:54:00:00:00:01"']
        + ['external-ids:iface-id="i1"', f'external-ids:vm-id="{VM}"', 'external-ids:iface-status="active"']
    ]


@pytest.mark.parametrize(("status", "exists"), [(0, True), (2, False)])
def test_open_vswitch_says_whether_it_has_a_bridge(root: Path, status: int, exists: bool) -> None:
    assert openvswitch_bridge_exists(FakePrograms(root, lambda argv: CommandResult(status, "", "")), "ovsbr") is exists


def test_an_open_vswitch_that_does_not_answer_is_an_error(root: Path) -> None:
    output = "ovs-vsctl: unix:/var/run/openvswitch/db.sock: database connection failed (No such file or directory)\n"
    with pytest.raises(VmError, match="database connection failed") as raised:
        openvswitch_bridge_exists(FakePrograms(root, lambda argv: CommandResult(1, "", output)), "ovsbr")
    assert raised.value.code == "openvswitch_failed"


@pytest.mark.parametrize(
    ("output", "answers"),
    [
        ("127.0.0.9 dev br0 lladdr 52:54:00:00:00:01 REACHABLE\n", True),
        ("127.0.0.9 dev br0 lladdr 52:54:00:00:00:01 STALE\n", False),
        ("127.0.0.9 dev br0 lladdr 52:54:00:00:00:02 REACHABLE\n", False),
        ("127.0.0.9 dev br0 FAILED\n", False),
        ("", False),
    ],
)
def test_a_neighbour_is_one_that_the_kernel_reaches_at_its_own_mac(root: Path, output: str, answers: bool) -> None:
    system = FakePrograms(root, lambda argv: CommandResult(0, output, ""))
    assert is_neighbour(system, "127.0.0.9", "52:54:00:00:00:01") is answers
