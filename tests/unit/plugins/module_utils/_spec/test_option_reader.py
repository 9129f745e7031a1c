# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options are read by their spec: every problem has its path, and hides no other."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.option_reader import OptionReader, Part, as_mapping
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.options import (
    UUID,
    nic,
    parsed,
    problems,
    vm,
    volume,
)

SPEC: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "count": {"type": "int", "default": 7},
    "tags": {"type": "list", "elements": "str", "choices": ["a", "b"]},
    "key": {"type": "str", "no_log": True},
    "any": {"type": "raw"},
    "free": {"type": "dict"},
    "disk": {"type": "dict", "options": {"size": {"type": "int"}}},
    "nics": {"type": "list", "elements": "dict", "options": {"mtu": {"type": "int", "required": True}}},
}


def refuse(value: object) -> object:
    raise ValueError("is refused")


def read(raw: Any, **checked: Any) -> tuple[Part, list[str]]:
    reader = OptionReader(checked, may_be_empty=["key"])
    part = reader.read({"name": "n", **raw}, SPEC, "vms[0]")
    assert part is not None
    return part, [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        pytest.param({}, "count", 7, id="default"),
        pytest.param({"count": None}, "count", 7, id="null"),
        pytest.param({"count": ""}, "count", 7, id="empty"),
        pytest.param({"key": ""}, "key", "", id="empty where that is a value"),
        pytest.param({"count": "5"}, "count", 5, id="text of a number"),
        pytest.param({"tags": "a, b"}, "tags", ["a", "b"], id="text of a list"),
        pytest.param({"any": [5]}, "any", [5], id="any value"),
        pytest.param({"free": {"a": 5}}, "free", {"a": 5}, id="any mapping"),
    ],
)
def test_an_option_has_the_value(raw: dict[str, Any], name: str, value: Any) -> None:
    part, problems_of_it = read(raw)
    assert (part.get(name), problems_of_it) == (value, [])


@pytest.mark.parametrize(
    ("raw", "problem", "wrong"),
    [
        ({"name": None}, "vms[0].name: is required", "name"),
        ({"name": ""}, "vms[0].name: is empty", "name"),
        ({"count": "x"}, "vms[0].count: must be a whole number, not 'x'", "count"),
        ({"tags": ["a", "c"]}, "vms[0].tags[1]: must be one of a, b, not 'c'", "tags"),
        ({"tags": {}}, "vms[0].tags: must be a list, not a mapping", "tags"),
        ({"key": 5}, "vms[0].key: must be text, not a number", "key"),
        ({"disk": []}, "vms[0].disk: must be a mapping of options, not a list", "disk"),
        ({"nics": [{"mtu": 1}, {}]}, "vms[0].nics[1].mtu: is required", "nics"),
        ({"color": 1}, "vms[0].color: is not a known option", ""),
    ],
)
def test_a_wrong_value_is_a_problem_of_its_option(raw: dict[str, Any], problem: str, wrong: str) -> None:
    part, found = read(raw)
    assert (found, part.wrong) == ([problem], {wrong})


@pytest.mark.parametrize(
    ("raw", "path", "problem"),
    [
        ({"name": "web"}, "name", "vms[0].name: 'web' is refused"),
        ({"key": "hunter2"}, "key", "vms[0].key: is refused"),
        ({"nics": [{"mtu": 5}]}, "nics.mtu", "vms[0].nics[0].mtu: 5 is refused"),
    ],
)
def test_the_check_of_an_option_says_why(raw: dict[str, Any], path: str, problem: str) -> None:
    assert read(raw, **{path: refuse})[1] == [problem]


def test_the_valid_values_of_an_invalid_part_are_read() -> None:
    part, _problems = read({"disk": {"size": 5, "color": 1}})
    assert (part.get("disk").get("size"), part.wrong) == (5, {"disk"})


def test_the_parts_of_a_list_are_those_that_are_mappings() -> None:
    part, _problems = read({"nics": [5, {"mtu": 1}]})
    assert [(nic.index, nic.option_path, nic.get("mtu")) for nic in part.get("nics")] == [(1, "vms[0].nics[1]", 1)]


@pytest.mark.parametrize(
    ("raw", "mapping"),
    [({"a": 1}, {"a": 1}), ('{"a": 1}', {"a": 1}), ("a=1 b=2", {"a": "1", "b": "2"}), ("a", None), ([], None)],
    ids=repr,
)
def test_a_mapping_may_be_text(raw: Any, mapping: Optional[dict[str, Any]]) -> None:
    assert as_mapping(raw) == mapping


class TestUnknownOptions:
    def test_are_problems_at_every_depth(self) -> None:
        found = problems(vm(color="red", root_volume=volume(size=1, qos={"x": 1}), nics=[nic(speed=1)]))
        assert {problem.partition(": ")[0] for problem in found} == {
            "vms[0].color",
            "vms[0].root_volume.size",
            "vms[0].root_volume.qos.x",
            "vms[0].nics[0].speed",
        }

    def test_get_a_hint_what_was_meant(self) -> None:
        dummy, found = parse_vms([vm(nics=[nic(nicInternalName="x")])])
        assert (found[0].option_path, found[0].hint) == (
            "vms[0].nics[0].nicInternalName",
            "did you mean nic_internal_name?",
        )

    def test_without_anything_near_get_a_list(self) -> None:
        dummy, found = parse_vms([vm(root_volume=volume(qos={"zzz": 1}))])
        assert found[0].hint == (
            "known options: overall_iops, read_bandwidth, read_iops, total_bandwidth, total_iops, write_bandwidth, "
            "write_iops"
        )

    def test_may_have_keys_that_are_no_text(self) -> None:
        assert problems({**vm(), 5: 1, ("a",): 2}) == [
            "vms[0]: 5 is not an option name",
            "vms[0]: a list is not an option name",
        ]

    def test_are_left_out_when_null(self) -> None:
        """A template that sets an option of a newer release to null must not fail."""
        assert parsed(color=None).uuid == UUID
