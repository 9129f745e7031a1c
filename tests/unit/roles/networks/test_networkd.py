# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of systemd-networkd: of bridges, their ports, and VLANs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.roles.networks.program import bridge, by_name, device, module

networkd = module("networkd")

ETH0 = device("eth0", addresses=("10.0.0.1/24",))
NETPLAN = """[Match]
Name=eth0

[Link]
MTUBytes=9000

[Network]
# by netplan
DHCP=ipv4
VLAN=eth0.5
"""


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the files."""
    directory = tmp_path / "etc"
    directory.mkdir()
    monkeypatch.setattr(networkd, "DIRECTORY", directory)
    monkeypatch.setattr(networkd, "_DIRECTORIES", (directory, tmp_path / "run"))
    monkeypatch.setattr(networkd, "_LINKS", tmp_path / "links")
    return directory


def applies(etc: Path, path: Path, index: int, text: str = NETPLAN) -> None:
    """Write a file that applies to the device of that index."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    links = etc.parent / "links"
    links.mkdir(exist_ok=True)
    (links / str(index)).write_text("ADMIN_STATE=configured\nNETWORK_FILE=%s\n" % path)


def files(etc: Path, devices: list[Any], *options: dict[str, Any]) -> dict[str, str]:
    """Return the desired files by name, without their first line."""
    bridges = module("desired").read_bridges(list(options))
    found = networkd.Networkd(by_name(*devices)).files(bridges)
    assert all(text.startswith("# Written by the role zstack.kvm.networks\n") for text in found.values())
    return {str(path.relative_to(etc)): text.partition("\n")[2] for path, text in found.items()}


def problems(devices: list[Any], **options: Any) -> list[str]:
    return list(networkd.Networkd(by_name(*devices)).problems(bridge(**options)))


BRIDGE = "[NetDev]\nName=%s\nKind=bridge\n"
NETWORK = "[Match]\nName=%s\n\n[Network]\nConfigureWithoutCarrier=yes\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
PORT = "[Match]\nName=%s\n\n[Network]\nBridge=%s\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"


def test_a_bridge_without_an_uplink(etc: Path) -> None:
    assert files(etc, [], {"name": "inner"}) == {
        "00-zstack-inner.netdev": BRIDGE % "inner",
        "00-zstack-inner.network": NETWORK % "inner",
    }


def test_a_plain_bridge_has_the_mac_address_of_its_uplink_which_comes_last(etc: Path) -> None:
    found = files(etc, [device("eth1")], {"uplink": "eth1"})
    assert found == {
        "00-zstack-br_eth1.netdev": BRIDGE % "br_eth1" + "MACAddress=fa:00:00:00:00:01\n",
        "00-zstack-br_eth1.network": NETWORK % "br_eth1",
        "00-zstack-eth1.network": PORT % ("eth1", "br_eth1"),
    }
    assert list(found)[-1] == "00-zstack-eth1.network"


def test_the_bridge_takes_over_the_configuration_with_its_drop_ins_and_not_what_is_stacked_on_it(etc: Path) -> None:
    applies(etc, etc.parent / "run" / "10-netplan-eth0.network", 2)
    drop_in = etc / "10-netplan-eth0.network.d" / "more.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Route]\nGateway=10.0.0.254\n")
    found = files(etc, [ETH0], {"uplink": "eth0", "move_addresses": True})
    assert found["00-zstack-br_eth0.network"] == (
        "[Match]\nName=br_eth0\n\n[Link]\nMTUBytes=9000\n\n[Network]\nDHCP=ipv4\n\n[Route]\nGateway=10.0.0.254\n"
    )


class TestVlans:
    NETDEV = "[NetDev]\nName=eth0.%d\nKind=vlan\n\n[VLAN]\nId=%d\n"

    def test_of_an_uplink_that_is_configured_are_in_a_drop_in(self, etc: Path) -> None:
        applies(etc, etc.parent / "run" / "10-netplan-eth0.network", 2)
        found = files(etc, [ETH0], {"uplink": "eth0", "vlan": 100}, {"uplink": "eth0", "vlan": 20})
        assert found["00-zstack-eth0.100.netdev"] == self.NETDEV % (100, 100)
        assert found["00-zstack-eth0.100.network"] == PORT % ("eth0.100", "br_eth0_100")
        assert found["00-zstack-br_eth0_100.network"] == NETWORK % "br_eth0_100"
        assert found["10-netplan-eth0.network.d/zstack-vlans.conf"] == "[Network]\nVLAN=eth0.20\nVLAN=eth0.100\n"
        assert "00-zstack-eth0.network" not in found

    def test_of_an_uplink_without_configuration_are_in_its_own(self, etc: Path) -> None:
        found = files(etc, [device("eth0")], {"uplink": "eth0", "vlan": 100})
        assert found["00-zstack-eth0.network"] == (PORT % ("eth0", "")).replace("Bridge=\n", "") + "VLAN=eth0.100\n"

    def test_beside_a_plain_bridge_are_in_the_file_of_the_port(self, etc: Path) -> None:
        found = files(etc, [device("eth0")], {"uplink": "eth0"}, {"uplink": "eth0", "vlan": 100})
        assert found["00-zstack-eth0.network"] == PORT % ("eth0", "br_eth0") + "VLAN=eth0.100\n"

    def test_of_earlier_runs_stay_with_their_bridges(self, etc: Path) -> None:
        (etc / "00-zstack-eth0.100.netdev").write_text("[NetDev]\n")
        applies(etc, etc / "00-zstack-eth0.network", 2, PORT % ("eth0", "br_eth0") + "VLAN=eth0.100\n")
        found = files(etc, [device("eth0", master="br_eth0")], {"uplink": "eth0", "vlan": 200})
        assert found["00-zstack-eth0.network"] == PORT % ("eth0", "br_eth0") + "VLAN=eth0.100\nVLAN=eth0.200\n"


class TestExisting:
    DEVICES = (device("eth0", master="br_eth0"), device("br_eth0", 5, kind="bridge", addresses=("10.0.0.1/24",)))

    def test_files_of_a_bridge_that_has_taken_over_addresses_stay(self, etc: Path) -> None:
        for name in ("00-zstack-br_eth0.netdev", "00-zstack-br_eth0.network"):
            (etc / name).write_text("# Written by the role zstack.kvm.networks\n%s" % name)
        found = files(etc, list(self.DEVICES), {"uplink": "eth0"})
        assert found["00-zstack-br_eth0.netdev"] == "00-zstack-br_eth0.netdev"
        assert found["00-zstack-br_eth0.network"] == "00-zstack-br_eth0.network"

    def test_a_bridge_that_others_files_create_is_left_to_them(self, etc: Path) -> None:
        (etc / "20-bridge.netdev").write_text("[NetDev]\nName = br_eth0\nKind=bridge\n")
        applies(etc, etc / "20-eth0.network", 2)
        applies(etc, etc / "20-bridge.network", 5)
        assert files(etc, list(self.DEVICES), {"uplink": "eth0"}) == {}

    def test_a_bridge_by_hand_gets_its_files(self, etc: Path) -> None:
        devices = [self.DEVICES[0], self.DEVICES[1]._replace(addresses=())]
        assert "00-zstack-br_eth0.netdev" in files(etc, devices, {"uplink": "eth0"})


class TestProblems:
    def test_none_with_a_file_that_applies(self, etc: Path) -> None:
        applies(etc, etc / "10-eth0.network", 2)
        assert problems([ETH0], uplink="eth0", move_addresses=True) == []

    @pytest.mark.parametrize("was_removed", [False, True])
    def test_addresses_from_elsewhere_cannot_be_moved(self, etc: Path, was_removed: bool) -> None:
        if was_removed:
            applies(etc, etc / "10-eth0.network", 2)
            (etc / "10-eth0.network").unlink()
        (problem,) = problems([ETH0], uplink="eth0", move_addresses=True)
        assert problem.startswith("networks_bridges[0].move_addresses: the addresses of eth0 are not from a file")

    def test_addresses_of_a_bridge_by_hand_would_be_removed(self, etc: Path) -> None:
        (problem,) = problems([device("inner", kind="bridge", addresses=("10.1.0.1/24",))], name="inner")
        assert problem.startswith("networks_bridges[0].name: the addresses of inner are not from a file")

    def test_a_file_that_comes_first(self, etc: Path) -> None:
        applies(etc, etc / "00-eth0.network", 2)
        (problem,) = problems([ETH0], uplink="eth0", move_addresses=True)
        assert "would apply to eth0 before the role's" in problem
