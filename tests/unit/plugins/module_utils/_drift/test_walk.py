# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired values are set in the existing domain, as the rules say, and every difference is reported."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.identity import POSITION, attribute
from ansible_collections.zstack.kvm.plugins.module_utils._drift.rule_tree import RuleNode
from ansible_collections.zstack.kvm.plugins.module_utils._drift.rules import Rule
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference, Found, Step, Walk, partners_of
from lxml import etree

Shown = tuple[str, Optional[str], Optional[str]]
BY_NAME = Rule(keys=(attribute("name"),), owned=True)


def tree(rule: Rule) -> RuleNode:
    """Return the rules of a parent whose children C(a) have this rule."""
    return RuleNode("parent", Rule(), {"a": RuleNode("a", rule, {})})


def walked(rule: Rule, desired: str, existing: str) -> tuple[list[Shown], str]:
    """Return the differences between children of a parent, and the merged children."""
    parents = [etree.fromstring(f"<parent>{xml}</parent>") for xml in (desired, existing)]
    walk = Walk()
    walk.merge(tree(rule), *parents)
    differences = [(each.path, each.before, each.after) for each in walk.found]
    return differences, "".join(etree.tostring(child, encoding="unicode") for child in parents[1])


@pytest.mark.parametrize(
    ("rule", "desired", "existing", "difference", "merged"),
    [
        pytest.param(Rule(), "<a>2</a>", "<a>1</a>", ("a", "1", "2"), "<a>2</a>", id="text"),
        pytest.param(Rule(), '<a x="2"/>', '<a x="1"/>', ("a/@x", "1", "2"), '<a x="2"/>', id="attribute"),
        pytest.param(Rule(), "<a/>", "", ("a", None, "<a/>"), "<a/>", id="missing element"),
        pytest.param(
            Rule(optional="x"), "<a/>", '<a x="1"/>', ("a/@x", "1", None), "<a/>", id="attribute that is not desired"
        ),
        pytest.param(
            Rule(defaults={"x": "0"}), "<a/>", '<a x="1"/>', ("a/@x", "1", "0"), "<a/>", id="attribute with a default"
        ),
        pytest.param(Rule(owned=True), "", "<a/>", ("a", "<a/>", None), "", id="element that is not desired"),
        pytest.param(
            BY_NAME,
            '<a name="n" x="2"/>',
            '<a name="m"/><a name="n" x="2"/>',
            ("a[name=m]", '<a name="m"/>', None),
            '<a name="n" x="2"/>',
            id="one of several",
        ),
        pytest.param(
            Rule(whole=True),
            "<a><c/></a>",
            "<a><b/></a>",
            ("a", "<a><b/></a>", "<a><c/></a>"),
            "<a><c/></a>",
            id="whole element",
        ),
        pytest.param(
            Rule(kinds={"@x": "b"}),
            '<a x="2"/>',
            '<a x="1" y="1"><b/><c/></a>',
            ("a/@x", "1", "2"),
            '<a x="2"><c/></a>',
            id="kind, with what belonged to the old one",
        ),
    ],
)
def test_a_difference_is_reported_and_set(
    rule: Rule, desired: str, existing: str, difference: Shown, merged: str
) -> None:
    assert walked(rule, desired, existing) == ([difference], merged)


@pytest.mark.parametrize(
    ("rule", "desired", "existing"),
    [
        pytest.param(Rule(), "<a/>", '<a x="1"/>', id="attribute without a rule"),
        pytest.param(Rule(), "", "<a/>", id="element without a rule"),
        pytest.param(Rule(), "<a/>", "<a>1</a>", id="text where none is desired"),
        pytest.param(Rule(defaults={"x": "0"}), "<a/>", '<a x="0"/>', id="default"),
        pytest.param(
            Rule(same={"x": lambda one, other: True}), '<a x="2"/>', '<a x="1"/>', id="another spelling of an attribute"
        ),
        pytest.param(Rule(same={"": lambda one, other: True}), "<a>2</a>", "<a>1</a>", id="another spelling of a text"),
        pytest.param(Rule(owned=True, unless=lambda element: True), "", "<a/>", id="element of libvirt's own"),
        pytest.param(BY_NAME, '<a name="m"/><a name="n"/>', '<a name="n"/><a name="m"/>', id="another order"),
    ],
)
def test_is_no_difference_and_stays(rule: Rule, desired: str, existing: str) -> None:
    assert walked(rule, desired, existing) == ([], existing)


def test_an_order_that_matters_is_set() -> None:
    ordered = Rule(keys=(attribute("name"),), ordered=True)
    first, second = '<a name="m"/>', '<a name="n"/>'
    assert walked(ordered, first + second, second + first) == ([("a[order]", "n m", "m n")], first + second)


def test_what_is_added_comes_after_its_predecessor() -> None:
    known, *added, last = ('<a name="%s"/>' % name for name in "klmn")
    assert walked(BY_NAME, "".join([known, *added, last]), known + last)[1] == "".join([known, *added, last])


@pytest.mark.parametrize(("attributes", "merged"), [("", ""), (' x="1"', '<a x="1"/>')], ids=["empty", "not empty"])
def test_an_element_goes_with_its_owned_children_if_nothing_is_left_of_it(attributes: str, merged: str) -> None:
    node = RuleNode("a", Rule(), {"b": RuleNode("b", Rule(owned=True), {})})
    existing = etree.fromstring(f"<parent><a{attributes}><b/></a></parent>")
    walk = Walk()
    walk.merge(RuleNode("parent", Rule(), {"a": node}), etree.fromstring("<parent/>"), existing)
    left = "".join(etree.tostring(child, encoding="unicode") for child in existing)
    assert ([each.path for each in walk.found], left) == (["a/b"], merged)


@pytest.mark.parametrize(
    ("desired", "merged"),
    [
        ('<a><b x="2"/></a>', '<a><b x="2"/></a>'),
        ('<a y="1"><b x="2"/><c/></a>', '<a y="1"><b x="2"/><c/></a>'),
    ],
    ids=["goes", "stays if it is desired"],
)
def test_what_belonged_to_the_old_kind_of_a_parent(desired: str, merged: str) -> None:
    node = RuleNode("a", Rule(kinds={"b/@x": "c @y"}), {"b": RuleNode("b", Rule(), {})})
    existing = etree.fromstring('<a y="1"><b x="1"/><c/></a>')
    parents = [etree.fromstring(f"<parent>{desired}</parent>"), etree.Element("parent")]
    parents[1].append(existing)
    Walk().merge(RuleNode("parent", Rule(), {"a": node}), *parents)
    assert etree.tostring(existing, encoding="unicode") == merged


def test_an_accepted_difference_is_neither_reported_nor_set() -> None:
    desired, existing = etree.fromstring("<parent><a>2</a></parent>"), etree.fromstring("<parent><a>1</a></parent>")
    walk = Walk(accepts=lambda found: found.path == "a")
    walk.merge(tree(Rule()), desired, existing)
    assert (walk.found, existing.findtext("a")) == ([], "1")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [("one", "two", ("********", "********")), (None, "two", (None, "********")), ("one", None, ("********", None))],
)
def test_a_secret_is_masked(
    before: Optional[str], after: Optional[str], shown: tuple[Optional[str], Optional[str]]
) -> None:
    assert Found((), "@passwd", before, after).as_difference() == Difference("@passwd", *shown)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (Rule(), "a"),
        (BY_NAME, "a[name=n]"),
        (Rule(keys=(POSITION,)), "a[3]"),
        (Rule(keys=(attribute("x"),), label=attribute("name")), "a[name=n]"),
    ],
    ids=["the only one", "key", "position", "label"],
)
def test_an_element_is_named_in_a_path_by(rule: Rule, name: str) -> None:
    assert Step(RuleNode("a", rule, {}), etree.fromstring('<a name="n" x="1"/>'), None, 3).name == name


class TestPartners:
    def of(self, rule: Rule, desired: str, existing: str) -> list[tuple[Optional[str], Optional[str]]]:
        ours, theirs = (list(etree.fromstring(f"<parent>{xml}</parent>")) for xml in (desired, existing))
        return [(one.get("id"), other.get("id")) for one, other in partners_of(rule, ours, theirs).items()]

    def test_have_the_same_first_key_or_else_the_same_second(self) -> None:
        rule = Rule(keys=(attribute("x"), attribute("y")))
        desired = '<a id="1" x="p" y="q"/><a id="2" x="r" y="s"/>'
        existing = '<a id="3" x="t" y="s"/><a id="4" x="p" y="u"/>'
        assert self.of(rule, desired, existing) == [("1", "4"), ("2", "3")]

    def test_have_the_same_position_without_a_key(self) -> None:
        assert self.of(Rule(), '<a id="1"/><a id="2"/>', '<a id="3"/>') == [("1", "3")]

    def test_without_a_name_are_those_that_libvirt_named(self) -> None:
        rule = Rule(keys=(attribute("x"),), named_by_libvirt=True)
        assert self.of(rule, '<a id="1"/>', '<a id="2" x="p"/>') == [("1", "2")]

    def test_without_a_name_have_none(self) -> None:
        assert self.of(Rule(keys=(attribute("x"),)), '<a id="1"/>', '<a id="2" x="p"/>') == []
