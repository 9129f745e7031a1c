# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that guests report: valid ones are normalised, others are omitted with a warning."""

from __future__ import annotations

import time
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils.addresses import (
    MAX_ADDRESSES,
    merge_addresses,
    parse_address,
    usable_address,
)
from hypothesis import given, settings
from hypothesis import strategies as st

MAC = "fa:00:00:00:00:01"
LOOPBACK = {"lo": {"hwaddr": "00:00:00:00:00:00", "addrs": [{"type": 0, "addr": "127.0.0.1", "prefix": 8}]}}


def nic(name: str, mac: Any, address: Any, prefix: Any = 24) -> dict[str, Any]:
    """Return one NIC as libvirt reports its addresses."""
    return {name: {"hwaddr": mac, "addrs": [{"type": 0, "addr": address, "prefix": prefix}]}}


class TestParsing:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("10.0.0.5", "10.0.0.5"),
            ("FE80:0:0::1", "fe80::1"),
            ("::ffff:10.0.0.5", "::ffff:10.0.0.5"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("fe80::1%enp1s0.100", "fe80::1%enp1s0.100"),
            ("fe80::1%12", "fe80::1%12"),
        ],
    )
    def test_gives_an_address_in_one_spelling(self, text: str, address: str) -> None:
        parsed = parse_address(text)
        assert parsed is not None
        assert parsed.replace("::ffff:a00:5", "::ffff:10.0.0.5") == address

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "web",
            "10.0.0.256",
            "010.0.0.1",
            "10.0.0.1/24",
            "10.0.0.1%eth0",
            " 10.0.0.1",
            "10.0.0.1\n",
            "10.0.0.5; reboot",
            "{{ 6 * 7 }}",
            "fe80::1%",
            "fe80::1%.",
            "fe80::1%..",
            "fe80::1%eth0 -oProxyCommand=reboot",
            "fe80::1%$(reboot)",
            "fe80::1%{{a}}",
            "fe80::1%a/b",
            "fe80::1%eth0\n",
            "fe80::1%sixteen_letters_",
            "fe80::1%eth0%eth1",
            "\ud800",
            None,
            5,
            b"\x7f\x00\x00\x01",
        ],
    )
    def test_gives_nothing_for_what_is_no_address(self, text: Any) -> None:
        assert parse_address(text) is None

    @settings(deadline=None)
    @given(st.text())
    def test_never_returns_shell_or_template_syntax(self, text: str) -> None:
        parsed = parse_address("fe80::1%" + text)
        assert parsed is None or set(parsed) <= set("fe80:1%") | set(map(chr, range(48, 58))) | set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-"
        )


class TestMerging:
    def test_has_an_address_once_and_from_the_best_source(self) -> None:
        answers = {
            "agent": {**LOOPBACK, **nic("eth0", MAC.upper(), "10.0.0.5")},
            "lease": nic("vnet0", MAC, "10.0.0.5"),
            "arp": {**nic("vnet0", MAC, "10.0.0.5", 0), **nic("vnet1", "fa:00:00:00:00:02", "fe80::1", 0)},
        }
        found, warnings = merge_addresses(answers)
        assert [(each["address"], each["interface"], each["source"], each["prefix"]) for each in found] == [
            ("10.0.0.5", "eth0", "agent", 24),
            ("fe80::1", "vnet1", "arp", None),
        ]
        assert warnings == []

    def test_has_nothing_of_a_nic_without_addresses(self) -> None:
        assert merge_addresses({"agent": {"eth0": {"hwaddr": MAC, "addrs": None}}}) == ([], [])

    def test_leaves_out_what_is_no_address_and_keeps_the_others(self) -> None:
        found, warnings = merge_addresses({"agent": {**nic("a", MAC, "no\x1b[2J"), **nic("b", MAC, "10.0.0.5")}})
        assert [each["address"] for each in found] == ["10.0.0.5"]
        assert warnings == ["the guest agent reports an invalid address, which is ignored: 'no\\x1b[2J'"]

    @pytest.mark.parametrize("address", ["x" * 10**6, "\ud800" * 100, "\u202e" * 100])
    def test_warns_in_a_few_clean_words(self, address: str) -> None:
        _found, (warning,) = merge_addresses({"agent": nic("eth0", MAC, address)})
        assert len(warning) < 200
        assert warning.isprintable()

    @pytest.mark.parametrize(("address", "prefix"), [("10.0.0.5", 33), ("fe80::1", 129), ("fe80::1", -1), ("::2", "a")])
    def test_has_no_prefix_that_is_none(self, address: str, prefix: Any) -> None:
        found, _warnings = merge_addresses({"agent": nic("eth0", MAC, address, prefix)})
        assert found[0]["prefix"] is None

    @pytest.mark.parametrize("mac", [None, "", "{{ 1 }}", "fa:00:00:00:00:01\n", "\x1b[2J"])
    def test_has_no_mac_that_is_none(self, mac: Any) -> None:
        found, _warnings = merge_addresses({"agent": nic("eth0", mac, "10.0.0.5")})
        assert found[0]["mac"] is None

    def test_has_the_name_of_an_interface_as_clean_text(self) -> None:
        found, _warnings = merge_addresses({"agent": nic("Ethernet\n\x1b[2J" + "x" * 10**6, MAC, "10.0.0.5")})
        assert found[0]["interface"].startswith("Ethernet \ufffdx")
        assert len(found[0]["interface"]) < 300

    def test_has_as_many_as_a_guest_may_mean_and_takes_no_time_for_the_rest(self) -> None:
        many = [{"type": 0, "addr": "10.%d.%d.1" % divmod(number, 256), "prefix": 8} for number in range(60000)]
        began = time.process_time()
        found, warnings = merge_addresses({"agent": {"eth0": {"hwaddr": MAC, "addrs": many}}})
        assert len(found) == MAX_ADDRESSES
        assert warnings == ["it reports more than 256 addresses; the others are ignored"]
        assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("addresses", "usable"),
    [
        ([], None),
        (["fe80::1", "169.254.3.4", "fe80::2%eth0"], None),
        (["fe80::1", "10.0.0.5"], "10.0.0.5"),
        (["fd00::5", "2001:db8::5", "10.0.0.5"], "2001:db8::5"),
        (["fe80::1", "fd00::5"], "fd00::5"),
        (["0.0.0.0", "224.0.0.1", "::1"], None),
    ],
)
def test_the_usable_address_is_one_that_others_can_reach(addresses: list[str], usable: Optional[str]) -> None:
    assert usable_address(addresses) == usable
