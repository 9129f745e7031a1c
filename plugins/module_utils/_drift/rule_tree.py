# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrange the rules of C(rules) as a tree like the domain's, so that a walk finds them without building paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from .identity import POSITION
from .rules import NAMESPACES, RULES, Rule

_ANY = "*"
_UNRULED = Rule()


class Kind(NamedTuple):
    """The attributes and children to remove when an attribute changes that decides the kind of an element.

    C(decided): other attributes of the element that stay, as the rules decide about them. C(resets): children to
    remove, and C(reset_attributes): attributes to remove, of the element that is C(up) levels above the attribute's.
    """

    decided: frozenset[str]
    up: int
    resets: tuple[str, ...]
    reset_attributes: tuple[str, ...]


class RuleNode:
    """The rule of one element, and those of its children. C(name) is for paths, C(tag) as lxml has it.

    C(implied_attributes): the value that a missing attribute stands for, None if it stands for no attribute.
    C(kinds): attributes that decide the kind of this element, or of the one that it is part of.
    C(owns_children): whether something below is owned, so that it matters even if the element isn't desired.
    """

    def __init__(self, name: str, rule: Rule, children: Mapping[str, RuleNode], is_device: bool = False) -> None:
        self.name = name
        self.tag = _tag(name)
        self.rule = rule
        self.is_device = is_device
        self.by_position = rule.keys in ((), (POSITION,))
        self.implied_attributes: tuple[tuple[str, Optional[str]], ...] = (
            *((name, None) for name in rule.optional.split()),
            *rule.defaults.items(),
        )
        self.kinds: dict[str, Kind] = {}
        self.owns_children: bool = any(node.rule.owned or node.owns_children for node in children.values())
        self._children = dict(children)
        self._any = self._children.pop(_ANY).rule if _ANY in children else _UNRULED
        for path, resets in rule.kinds.items():
            child, attribute = path.split("@")
            node = self.child(child.rstrip("/")) if child else self
            decided = frozenset(name for name, implied in node.implied_attributes)
            node.kinds[attribute] = Kind(
                decided,
                1 if child else 0,
                tuple(each for each in resets.split() if each[0] != "@"),
                tuple(each[1:] for each in resets.split() if each[0] == "@"),
            )

    def child(self, tag: str) -> RuleNode:
        """Return the rule of a child; one without a rule gets an empty one, which decides nothing."""
        node = self._children.get(tag)
        if node is None:
            node = self._children[tag] = RuleNode(_name(tag), self._any, {})
        return node


def _tag(name: str) -> str:
    prefix, colon, local = name.partition(":")
    return "{%s}%s" % (NAMESPACES[prefix], local) if prefix in NAMESPACES and colon else name


def _name(tag: str) -> str:
    namespace, brace, local = tag.lstrip("{").rpartition("}")
    if not brace:
        return tag
    return next(("%s:%s" % (prefix, local) for prefix, uri in NAMESPACES.items() if uri == namespace), tag)


def _grow(path: str, rules: Mapping[str, Rule]) -> RuleNode:
    prefix = "" if path == "." else path + "/"
    below = (each for each in rules if each != "." and each.startswith(prefix))
    children = [_grow(each, rules) for each in below if "/" not in each[len(prefix) :]]
    parent, _slash, name = path.rpartition("/")
    return RuleNode(name, rules[path], {node.tag: node for node in children}, parent == "devices")


ROOT = _grow(".", RULES)
