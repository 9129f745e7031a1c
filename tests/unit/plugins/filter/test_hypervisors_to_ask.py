# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors that are queried before VMs are started, and those of them that are outside the play."""

from __future__ import annotations

from typing import Any

import pytest
from ansible import constants
from ansible_collections.zstack.kvm.plugins.filter.hypervisors_to_ask import FilterModule, parts_of_pattern

hypervisors_to_ask = FilterModule().filters()["hypervisors_to_ask"]

GROUPS = {
    "all": ["hv1", "hv2", "hv3", "fe80::1"],
    "hypervisors": ["hv1", "hv2"],
    "storage": ["hv3"],
}


def look_up(pattern: Any, chosen: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = hypervisors_to_ask([pattern], GROUPS, ["hv1"], chosen)
    return found


class TestPattern:
    @pytest.mark.parametrize("empty", [[], "", " ", None])
    def test_without_one_it_is_the_group_hypervisors(self, empty: Any) -> None:
        assert parts_of_pattern(empty, GROUPS) == ["hypervisors"]

    def test_without_that_group_it_is_every_host(self) -> None:
        assert parts_of_pattern([], {"all": ["hv1"], "hypervisors": []}) == ["all"]

    def test_it_is_split_at_commas_and_colons(self) -> None:
        assert parts_of_pattern("hv1, hv2:hv3", GROUPS) == ["hv1", "hv2", "hv3"]

    def test_lists_may_hold_lists(self) -> None:
        assert parts_of_pattern(["hv1", ["hv2,hv3"]], GROUPS) == ["hv1", "hv2", "hv3"]

    def test_a_name_with_colons_is_not_split(self) -> None:
        assert parts_of_pattern("fe80::1", GROUPS) == ["fe80::1"]

    def test_a_range_is_not_split(self) -> None:
        assert parts_of_pattern("hypervisors[0:1]:!hv2", GROUPS) == ["hypervisors[0:1]", "!hv2"]


class TestChosenHosts:
    def test_vms_are_started_on_them(self) -> None:
        assert look_up("hypervisors", chosen="hv3")["starting"] == ["hv3"]

    def test_without_them_vms_are_started_on_the_hosts_of_the_play(self) -> None:
        assert look_up("hypervisors")["starting"] == ["hv1"]

    def test_they_come_first(self) -> None:
        assert look_up("hypervisors", chosen="hv3")["hypervisors"] == ["hv3", "hv1", "hv2"]

    @pytest.mark.parametrize("chosen", ["hypervisors:!hv1", "hypervisors,!hv1", ["hypervisors", "!hv1"], "hv2:&hv2"])
    def test_what_they_exclude_is_queried_nevertheless(self, chosen: Any) -> None:
        assert look_up("hypervisors", chosen)["hypervisors"] == ["hv2", "hv1"]

    def test_what_the_pattern_excludes_may_be_chosen(self) -> None:
        assert look_up("hypervisors:!hv1", chosen="hv1")["hypervisors"] == ["hv1", "hv2"]

    def test_each_entry_of_a_list_is_a_pattern(self) -> None:
        assert look_up("hv2", chosen=["hv1:hv3", "hv2"])["hypervisors"] == ["hv1", "hv3", "hv2"]

    def test_other_hosts_of_the_play_are_queried_only_if_the_pattern_names_them(self) -> None:
        found = hypervisors_to_ask(["hypervisors"], GROUPS, ["hv1", "hv2", "hv3"], chosen="hv1")
        assert (found["hypervisors"], found["others"]) == (["hv1", "hv2"], [])

    def test_without_hosts_of_a_play_all_are_outside(self) -> None:
        assert hypervisors_to_ask([], GROUPS, [], chosen="hv1")["others"] == ["hv1", "hv2"]


class TestPlayHosts:
    def test_the_hosts_of_the_play_are_hypervisors_whatever_the_pattern_says(self) -> None:
        assert look_up("storage")["hypervisors"] == ["hv3", "hv1"]

    def test_hypervisors_that_are_no_hosts_of_the_play_are_outside(self) -> None:
        assert look_up("storage")["others"] == ["hv3"]

    def test_a_host_that_runs_no_tasks_of_the_play_is_outside(self) -> None:
        found = hypervisors_to_ask(["storage"], GROUPS, ["hv1", "hv2"], asking=["hv1"])
        assert found["hypervisors"] == ["hv3", "hv1", "hv2"]
        assert found["others"] == ["hv3", "hv2"]

    def test_hosts_that_limit_leaves_out_are_hypervisors(self) -> None:
        assert look_up("hv1", chosen="hypervisors")["hypervisors"] == ["hv1", "hv2"]

    def test_a_pattern_excludes(self) -> None:
        assert look_up(["hv*:storage", "!hv2"])["hypervisors"] == ["hv1", "hv3"]

    @pytest.mark.parametrize("mismatch", ["warning", "error", "ignore"])
    def test_parts_that_match_no_host_are_named_except_those_that_exclude(
        self, mismatch: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(constants, "HOST_PATTERN_MISMATCH", mismatch, raising=False)
        found = look_up("hv1,hv2,kvn:!hv9")
        assert (found["hypervisors"], found["unmatched"]) == (["hv1", "hv2"], ["kvn"])

    @pytest.mark.parametrize("mismatch", ["warning", "error"])
    def test_a_pattern_that_only_excludes_leaves_all_others(
        self, mismatch: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(constants, "HOST_PATTERN_MISMATCH", mismatch, raising=False)
        assert look_up("!hv2,!hv9")["hypervisors"] == ["hv1", "hv3", "fe80::1"]
