# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The usable addresses of a guest, and their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.circuit_breaker import CircuitBreaker
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.guest_addresses import (
    ask_addresses,
    best_first,
    is_global,
)
from lxml import etree

FIRST, SECOND, CONTAINERS = "fa:00:00:00:00:01", "fa:00:00:00:00:02", "02:42:00:00:00:01"
LIVE = etree.fromstring(
    "<domain><devices>%s</devices></domain>"
    % "".join(f"<interface type='bridge'><mac address='{mac}'/></interface>" for mac in (FIRST, SECOND))
)


def known(address: str, mac: str = FIRST, source: str = "agent") -> dict[str, Any]:
    return {"address": address, "prefix": 24, "mac": mac, "interface": "eth0", "source": source}


def ordered(*addresses: dict[str, Any]) -> list[str]:
    return [each["address"] for each in best_first(addresses, LIVE)]


class Answering:
    """A hypervisor that has these ARP entries for the NIC vnet0, or cannot read the table."""

    def __init__(self, *entries: str, reads: bool = True) -> None:
        self._entries, self._reads = entries, reads

    def interface_addresses(self, uuid: str, source: str) -> dict[str, Any]:
        if source == "lease":
            return {}
        if not self._reads:
            raise VmError("libvirt_error", "cannot read it")
        return {"vnet0": {"hwaddr": FIRST, "addrs": [{"addr": address, "prefix": 0} for address in self._entries]}}


@pytest.mark.parametrize(
    ("hypervisor", "expected"),
    [
        (Answering("10.0.0.5"), ["10.0.0.5"]),
        (Answering("fd00::5"), ["fd00::5", "10.0.0.5"]),
        (Answering(), ["10.0.0.5"]),
        (Answering(reads=False), ["10.0.0.5"]),
    ],
    ids=["both", "more", "nothing", "an error"],
)
def test_the_kernels_arp_table_completes_what_libvirt_reads_of_it(
    hypervisor: Any, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "proc" / "net").mkdir(parents=True)
    (tmp_path / "proc" / "net" / "arp").write_text(
        f"IP address  HW type  Flags  HW address  Mask  Device\n10.0.0.5  0x1  0x2  {FIRST}  *  br0\n"
    )
    live = etree.fromstring(
        f"<domain><devices><interface><mac address='{FIRST}'/><target dev='vnet0'/></interface></devices></domain>"
    )
    found, warnings = ask_addresses(hypervisor, HostSystem(str(tmp_path)), "uuid", live, CircuitBreaker())
    assert [(each["address"], each["interface"], each["source"]) for each in found] == [
        (address, "vnet0", "arp") for address in expected
    ]
    assert warnings == []


def test_what_can_be_used_from_elsewhere_comes_before_what_is_link_local() -> None:
    link_local = [known("fe80::1"), known("169.254.7.7")]
    assert ordered(*link_local, known("10.0.0.2", SECOND)) == ["10.0.0.2", "169.254.7.7", "fe80::1"]


def test_nics_count_in_their_order() -> None:
    assert ordered(known("10.0.0.2", SECOND), known("10.0.0.1")) == ["10.0.0.1", "10.0.0.2"]


def test_the_agent_knows_best_and_arp_least() -> None:
    addresses = [known("10.0.0.3", source="arp"), known("10.0.0.2", source="lease"), known("10.0.0.1")]
    assert ordered(*addresses) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_ipv4_comes_before_ipv6() -> None:
    assert ordered(known("2001:db8::1"), known("10.0.0.1")) == ["10.0.0.1", "2001:db8::1"]


def test_addresses_inside_the_guest_are_ignored() -> None:
    nameless = {**known("10.0.0.9"), "mac": None}
    assert ordered(known("172.17.0.1", CONTAINERS), nameless, known("10.0.0.1", FIRST.upper())) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("10.0.0.1", True),
        ("198.51.100.7", True),
        ("fd00::5", True),
        ("2001:db8::1", True),
        ("169.254.0.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
    ],
)
def test_an_address_is_usable_beyond_its_link(address: str, usable: bool) -> None:
    assert is_global(known(address)) is usable
