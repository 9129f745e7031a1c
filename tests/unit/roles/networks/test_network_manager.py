# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles of NetworkManager: of bridges, their ports, and VLANs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.roles.networks.program import bridge, by_name, device, module

network_manager = module("network_manager")

ETH0 = device("eth0", addresses=("10.0.0.1/24",))
KEYFILE = """[connection]
id=Wired 1
uuid=11111111-2222-3333-4444-555555555555
type=ethernet
interface-name=eth0

[ethernet]
mtu=9000

[ipv4]
method=manual
address1=10.0.0.1/24,10.0.0.254

[ipv6]
method=auto

[proxy]
"""


class Nmcli:
    """The answers of nmcli about devices that have profiles in these files, and the calls."""

    def __init__(self, profiles: dict[str, Path], external: tuple[str, ...] = ()) -> None:
        self._profiles = profiles
        self._external = external
        self.calls: list[str] = []

    def run(self, *argv: str) -> str:
        if "status" in argv:
            states = dict.fromkeys(self._profiles, "connected")
            states.update(dict.fromkeys(self._external, "connected (externally)"))
            return "".join("%s:%s\n" % state for state in states.items()) + "eth9:unmanaged\n"
        if "--active" in argv:
            return "".join("%s:uuid\\:of\\:%s:%s\n" % (name, name, path) for name, path in self._profiles.items())
        self.calls.append(" ".join(argv))
        return ""


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the profiles."""
    monkeypatch.setattr(network_manager, "DIRECTORY", tmp_path)
    return tmp_path


def manager(monkeypatch: pytest.MonkeyPatch, devices: list[Any], nmcli: Nmcli) -> Any:
    monkeypatch.setattr(network_manager, "run", nmcli.run)
    return network_manager.NetworkManager(by_name(*devices))


def files(found: Any, *options: dict[str, Any]) -> dict[str, str]:
    return {path.name: text for path, text in found.files(module("desired").read_bridges(list(options))).items()}


def test_a_plain_bridge_takes_over_the_addresses_of_its_uplink(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (etc / "eth0.nmconnection").write_text(KEYFILE)
    found = files(
        manager(monkeypatch, [ETH0], Nmcli({"eth0": etc / "eth0.nmconnection"})),
        {"uplink": "eth0", "move_addresses": True},
    )
    assert list(found) == ["zstack-br_eth0.nmconnection", "zstack-eth0.nmconnection"]
    assert "type=bridge\ninterface-name=br_eth0\n" in found["zstack-br_eth0.nmconnection"]
    assert found["zstack-br_eth0.nmconnection"].endswith(
        "[bridge]\nmac-address=FA:00:00:00:00:01\nstp=false\n\n"
        "[ipv4]\nmethod=manual\naddress1=10.0.0.1/24,10.0.0.254\n\n[ipv6]\nmethod=auto\n\n[proxy]\n"
    )
    assert "type=ethernet\ninterface-name=eth0\n" in found["zstack-eth0.nmconnection"]
    assert found["zstack-eth0.nmconnection"].endswith("master=br_eth0\nslave-type=bridge\n")


def test_a_bridge_on_a_vlan_has_no_addresses(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = files(manager(monkeypatch, [ETH0], Nmcli({})), {"uplink": "eth0", "vlan": 100})
    assert list(found) == ["zstack-br_eth0_100.nmconnection", "zstack-eth0.100.nmconnection"]
    assert found["zstack-br_eth0_100.nmconnection"].endswith("[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=disabled\n")
    assert found["zstack-eth0.100.nmconnection"].endswith("slave-type=bridge\n\n[vlan]\nflags=1\nid=100\nparent=eth0\n")


class TestExisting:
    DEVICES = (device("eth0", master="br_eth0"), device("br_eth0", 5, kind="bridge", addresses=("10.0.0.1/24",)))

    def test_the_profile_of_a_bridge_that_has_taken_over_addresses_stays(
        self, etc: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = etc / "zstack-br_eth0.nmconnection"
        path.write_text("as it was")
        nmcli = Nmcli({"br_eth0": path, "eth0": etc / "zstack-eth0.nmconnection"})
        found = files(manager(monkeypatch, list(self.DEVICES), nmcli), {"uplink": "eth0"})
        assert found[path.name] == "as it was"

    def test_a_bridge_of_other_profiles_is_left_to_them(self, etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        nmcli = Nmcli({"br_eth0": etc / "bridge.nmconnection", "eth0": etc / "port.nmconnection"})
        assert files(manager(monkeypatch, list(self.DEVICES), nmcli), {"uplink": "eth0"}) == {}

    def test_a_bridge_by_hand_gets_its_profiles(self, etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        nmcli = Nmcli({name: Path("/run") / name for name in ("br_eth0", "eth0")}, ("br_eth0", "eth0"))
        devices = [self.DEVICES[0], self.DEVICES[1]._replace(addresses=())]
        assert len(files(manager(monkeypatch, devices, nmcli), {"uplink": "eth0"})) == 2


@pytest.mark.parametrize(
    ("options", "devices", "profiles", "message"),
    [
        ({"uplink": "eth0"}, [ETH0], {}, ".uplink: the addresses of eth0 are not from a profile"),
        ({"uplink": "eth0"}, [ETH0], {"eth0": "/etc/ifcfg-eth0"}, ".uplink: the profile of eth0 is in /etc/ifcfg-eth0"),
        ({"uplink": "bond0"}, [device("bond0", kind="bond")], {}, ".uplink: bond0 is of the kind bond"),
        (
            {"name": "inner"},
            [device("inner", kind="bridge", addresses=("10.1.0.1/24",))],
            {},
            ".name: the addresses of inner are not from a profile",
        ),
    ],
)
def test_problems(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], devices: list[Any], profiles: dict[str, str], message: str
) -> None:
    nmcli = Nmcli({name: Path(path) for name, path in profiles.items()})
    (problem,) = manager(monkeypatch, devices, nmcli).problems(bridge(move_addresses=True, **options))
    assert problem.startswith("networks_bridges[0]" + message)


def test_a_port_is_activated_which_activates_its_bridge_and_after_an_undo_its_own_profile(
    etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nmcli = Nmcli({"eth0": etc / "eth0.nmconnection"})
    found = manager(monkeypatch, [ETH0], nmcli)
    found.apply([bridge(uplink="eth0"), bridge(name="inner")])
    assert nmcli.calls == [
        "nmcli connection reload",
        "nmcli --wait 60 connection up id zstack-eth0",
        "nmcli --wait 60 connection up id zstack-inner",
    ]
    nmcli.calls.clear()
    found.restore([bridge(uplink="eth0"), bridge(name="inner")])
    assert nmcli.calls == ["nmcli connection reload", "nmcli --wait 60 connection up uuid uuid:of:eth0"]


@pytest.mark.parametrize(("name", "expected"), [(None, True), ("eth0", True), ("eth9", False), ("eth8", False)])
def test_devices_that_it_manages(monkeypatch: pytest.MonkeyPatch, name: str | None, expected: bool) -> None:
    monkeypatch.setattr(network_manager, "run", Nmcli({"eth0": Path("/etc/eth0")}).run)
    assert network_manager.manages(name) is expected
