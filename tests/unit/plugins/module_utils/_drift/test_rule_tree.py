# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules as a tree: an element's rule is found by its tags, and knows what other rules say about it."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.rule_tree import ROOT, Kind, RuleNode
from ansible_collections.zstack.kvm.plugins.module_utils._drift.rules import RULES, Rule


def node_at(path: str) -> RuleNode:
    node = ROOT
    for tag in path.split("/"):
        node = node.child(tag)
    return node


def test_every_rule_is_found_by_its_path() -> None:
    plain = [path for path in RULES if path != "." and ":" not in path and "*" not in path]
    assert [path for path in plain if node_at(path).rule is not RULES[path]] == []


def test_an_element_of_a_namespace_is_found_by_its_tag_and_named_by_its_prefix() -> None:
    node = ROOT.child("{http://libvirt.org/schemas/domain/qemu/1.0}commandline")
    assert (node.name, node.rule) == ("qemu:commandline", RULES["qemu:commandline"])


@pytest.mark.parametrize(
    ("tag", "name"), [("{http://zstack.org}note", "zs:note"), ("{urn:other}note", "{urn:other}note"), ("note", "note")]
)
def test_an_element_without_a_rule_is_named_by_its_tag(tag: str, name: str) -> None:
    assert ROOT.child(tag).name == name


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        pytest.param("devices/disk/iotune/read_iops_sec", RULES["devices/disk/iotune/*"], id="that of any child"),
        pytest.param("devices/rng", Rule(), id="none, which decides nothing"),
    ],
)
def test_a_child_without_a_rule_of_its_own_has(path: str, rule: Rule) -> None:
    assert node_at(path).rule == rule


@pytest.mark.parametrize(
    ("path", "is_device"),
    [("devices/disk", True), ("devices/disk/source", False), ("os", False), ("devices/rng", False)],
)
def test_only_children_of_devices_that_have_a_rule_are_devices(path: str, is_device: bool) -> None:
    assert node_at(path).is_device is is_device


@pytest.mark.parametrize(
    ("path", "owns"), [("devices/disk/iotune", True), ("devices/disk/driver", False), ("devices", True)]
)
def test_a_parent_knows_whether_something_below_is_owned(path: str, owns: bool) -> None:
    assert node_at(path).owns_children is owns


def test_a_missing_attribute_stands_for_none_or_for_its_default() -> None:
    node = RuleNode("model", Rule("type", optional="a b", defaults={"heads": "1"}), {})
    assert node.implied_attributes == (("a", None), ("b", None), ("heads", "1"))


def test_an_attribute_of_a_child_decides_the_kind_of_its_parent() -> None:
    child = RuleNode("model", Rule(optional="vram"), {})
    RuleNode("video", Rule(kinds={"model/@type": "address @primary"}), {"model": child})
    assert child.kinds == {"type": Kind(frozenset({"vram"}), 1, ("address",), ("primary",))}
