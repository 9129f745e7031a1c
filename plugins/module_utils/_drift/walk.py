# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk through two domains, set the desired values in the existing one, and report what was set."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .identity import POSITION, Key
from .rule_tree import RuleNode
from .rules import SECRET_ATTRIBUTES, Rule
from .text import MASK, element_text


class Difference(NamedTuple):
    """One difference: C(before) is the existing value, C(after) the desired one; None means that there is none.

    C(path) is that of an element or, after C(@), of an attribute; one of several is named by its key:
    C(devices/interface[mac=fa:00:00:00:00:01]/bandwidth/inbound/@average). Secrets are masked.
    """

    path: str
    before: Optional[str]
    after: Optional[str]


class Step(NamedTuple):
    """One element of a difference's path: C(desired) is None if it is removed, C(existing) if it is added."""

    node: RuleNode
    desired: Any
    existing: Any
    position: int = 0

    @property
    def name(self) -> str:
        """Return its name in paths."""
        key = self.node.rule.label or next(iter(self.node.rule.keys), None)
        if key is None:
            return self.node.name
        value = key.of(self.desired if self.existing is None else self.existing)
        return "%s[%s]" % (self.node.name, self.position if value is None else "%s=%s" % (key.name, value))


class Found(NamedTuple):
    """A difference with its elements, from the domain's child down. It may contain secrets.

    C(last): what follows the elements in the path, an attribute for instance.
    """

    steps: tuple[Step, ...]
    last: str
    before: Optional[str]
    after: Optional[str]

    @property
    def path(self) -> str:
        """Return the path, as the result shows it."""
        return "/".join(filter(None, (*(step.name for step in self.steps), self.last)))

    def as_difference(self) -> Difference:
        """Return the difference as the result shows it."""
        path = self.path
        if self.last.lstrip("@") in SECRET_ATTRIBUTES:
            return Difference(path, self.before and MASK, self.after and MASK)
        return Difference(path, self.before, self.after)


class Walk:
    """Sets what is desired in what exists, except for differences that C(accepts)."""

    def __init__(self, accepts: Optional[Callable[[Found], bool]] = None) -> None:
        self.found: list[Found] = []
        self._accepts = accepts
        self.devices: dict[etree._Element, etree._Element] = {}
        self._steps: list[Step] = []
        self._nothing = etree.Element("nothing")

    def merge(self, node: RuleNode, desired: etree._Element, existing: etree._Element) -> None:
        """Set the desired values in one element, and in all below it."""
        if node.rule.whole:
            self._merge_whole(desired, existing)
            return
        self._merge_attributes(node, desired, existing)
        if len(desired) or len(existing):
            self._merge_children(node, desired, existing)
        elif desired.text and desired.text != existing.text:
            self._merge_text(node, desired, existing)

    def _report(self, last: str, before: Optional[str], after: Optional[str], *below: Step) -> bool:
        """Report a difference, and return whether it is to be set."""
        found = Found((*self._steps, *below), last, before, after)
        if self._accepts is not None and self._accepts(found):
            return False
        self.found.append(found)
        return True

    def _merge_whole(self, desired: etree._Element, existing: etree._Element) -> None:
        before, after = element_text(existing), element_text(desired)
        if before != after and self._report("", before, after):
            existing.getparent().replace(existing, copy.deepcopy(desired))

    def _merge_attributes(self, node: RuleNode, desired: etree._Element, existing: etree._Element) -> None:
        attributes = desired.items()
        for name, after in attributes:
            before = existing.get(name)
            if before == after:
                continue
            same = node.rule.same.get(name)
            is_same = before is not None and same is not None and same(after, before)
            if not is_same and self._report("@" + name, before, after):
                existing.set(name, after)
                self._forget_old_kind(node, name)
        for name, implied in node.implied_attributes:
            before = existing.get(name)
            if before is None or before == implied or desired.get(name) is not None:
                continue
            if self._report("@" + name, before, implied):
                del existing.attrib[name]
                self._forget_old_kind(node, name)

    def _forget_old_kind(self, node: RuleNode, attribute: str) -> None:
        kind = node.kinds.get(attribute)
        if kind is None:
            return
        step = self._steps[-1]
        # A number may be spelled differently in an address of another type.
        kept = (set(step.desired.attrib) - set(node.rule.same)) | kind.decided | {attribute}
        for name in set(step.existing.attrib) - kept:
            del step.existing.attrib[name]
        whole = self._steps[-1 - kind.up]
        for name in kind.reset_attributes:
            if whole.desired.get(name) is None:
                whole.existing.attrib.pop(name, None)
        for path in kind.resets:
            if whole.desired.find(path) is None:
                for gone in whole.existing.findall(path):
                    gone.getparent().remove(gone)

    def _merge_text(self, node: RuleNode, desired: etree._Element, existing: etree._Element) -> None:
        same = node.rule.same.get("")
        is_same = existing.text is not None and same is not None and same(desired.text, existing.text)
        if not is_same and self._report("", existing.text, desired.text):
            existing.text = desired.text

    def _merge_children(self, node: RuleNode, desired: etree._Element, existing: etree._Element) -> None:
        existing_by_tag = by_tag(existing)
        for tag, desired_ones in by_tag(desired).items():
            child = node.child(tag)
            existing_ones = existing_by_tag.pop(tag, [])
            if child.by_position and len(desired_ones) == len(existing_ones) == 1:
                self._step(child, desired_ones[0], existing_ones[0])
            else:
                self._merge_list(child, existing, desired_ones, existing_ones)
        for tag, existing_ones in existing_by_tag.items():
            child = node.child(tag)
            if child.rule.owned or child.owns_children:
                for index, each in enumerate(existing_ones):
                    self._not_desired(child, each, index)

    def _step(self, node: RuleNode, desired: etree._Element, existing: etree._Element, index: int = 0) -> None:
        if (
            not len(desired)
            and not len(existing)
            and desired.items() == existing.items()
            and desired.text == existing.text
        ):
            # Most are equal; walking on would find nothing, only slowly.
            return
        self._steps.append(Step(node, desired, existing, index))
        self.merge(node, desired, existing)
        self._steps.pop()
        if node.is_device:
            self.devices[desired] = existing

    def _merge_list(
        self, node: RuleNode, parent: etree._Element, desired: list[etree._Element], existing: list[etree._Element]
    ) -> None:
        if _are_the_same(node.rule.keys, desired, existing):
            for index, each in enumerate(desired):
                self._step(node, each, existing[index], index)
            return
        partners = partners_of(node.rule, desired, existing)
        kept = set(partners.values())
        for index, each in enumerate(existing):
            if each not in kept:
                self._not_desired(node, each, index)
        merged: list[etree._Element] = []
        for index, each in enumerate(desired):
            if each in partners:
                self._step(node, each, partners[each], index)
                merged.append(partners[each])
            else:
                added = self._add(node, parent, each, index, merged[-1] if merged else None)
                merged += [] if added is None else [added]
        if node.rule.ordered:
            self._put_in_order(node, parent, kept, merged)

    def _not_desired(self, node: RuleNode, existing: etree._Element, index: int) -> None:
        parent = existing.getparent()
        if parent is None:
            # It was removed with the old kind of its parent.
            return
        if node.rule.owned:
            is_kept = node.rule.unless is not None and node.rule.unless(existing)
            if not is_kept and self._report("", element_text(existing), None, Step(node, None, existing, index)):
                parent.remove(existing)
        elif node.owns_children:
            self._step(node, self._nothing, existing, index)
            if len(existing) == 0 and not existing.attrib:
                parent.remove(existing)

    def _add(
        self,
        node: RuleNode,
        parent: etree._Element,
        desired: etree._Element,
        index: int,
        previous: Optional[etree._Element],
    ) -> Optional[etree._Element]:
        if not self._report("", None, element_text(desired), Step(node, desired, None, index)):
            return None
        added = copy.deepcopy(desired)
        following = parent.find(node.tag)
        if previous is not None:
            previous.addnext(added)
        elif following is not None:
            following.addprevious(added)
        else:
            parent.append(added)
        if node.is_device:
            self.devices[desired] = added
        return added

    def _put_in_order(
        self, node: RuleNode, parent: etree._Element, kept: set[etree._Element], merged: list[etree._Element]
    ) -> None:
        present = parent.findall(node.tag)
        if present == merged:
            return
        key = node.rule.keys[0]
        before, after = (" ".join(key.of(each) or "?" for each in order if each in kept) for order in (present, merged))
        if before != after:
            self._report("%s[order]" % node.name, before, after)
        start = parent.index(present[0])
        for offset, each in enumerate(merged):
            parent.insert(start + offset, each)


def by_tag(element: etree._Element) -> dict[str, list[etree._Element]]:
    """Return the children by their tags; comments have none."""
    children: dict[str, list[etree._Element]] = {}
    for child in element:
        tag = child.tag
        if tag in children:
            children[tag].append(child)
        elif isinstance(tag, str):
            children[tag] = [child]
    return children


def _are_the_same(keys: tuple[Key, ...], desired: list[etree._Element], existing: list[etree._Element]) -> bool:
    """Return whether, by the first key, both lists are the same elements in the same order, as is usual."""
    if len(desired) != len(existing) or not keys or keys[0] is POSITION:
        return False
    known = [keys[0].of(each) for each in desired]
    if None in known or len(set(known)) < len(known):
        return False
    return known == [keys[0].of(each) for each in existing]


def partners_of(
    rule: Rule, desired: list[etree._Element], existing: list[etree._Element]
) -> dict[etree._Element, etree._Element]:
    """Return the existing element of each desired one."""
    partners: dict[etree._Element, etree._Element] = {}
    for key in rule.keys or (POSITION,):
        if not desired or not existing:
            break
        if key is POSITION:
            partners.update(zip(desired, existing))
            break
        known: dict[Optional[str], list[etree._Element]] = {}
        for each in existing:
            known.setdefault(key.of(each), []).append(each)
        known.pop(None, None)
        left_over = []
        for each in desired:
            candidates = known.get(key.of(each))
            if candidates:
                partners[each] = candidates.pop(0)
            else:
                left_over.append(each)
        if left_over:
            desired, taken = left_over, set(partners.values())
            existing = [each for each in existing if each not in taken]
        else:
            return partners
    _pair_nameless(rule, desired, existing, partners)
    return partners


def _pair_nameless(
    rule: Rule,
    desired: list[etree._Element],
    existing: list[etree._Element],
    partners: dict[etree._Element, etree._Element],
) -> None:
    """Pair the elements that have none of the keys with those that are left over."""
    desired = [each for each in desired if each not in partners and not _has_name(rule, each)]
    if not desired:
        return
    taken = set(partners.values())
    existing = [each for each in existing if each not in taken and (rule.named_by_libvirt or not _has_name(rule, each))]
    # What patches add comes after what the document desires.
    partners.update(zip(reversed(desired), reversed(existing)))


def _has_name(rule: Rule, element: etree._Element) -> bool:
    return any(key.of(element) is not None for key in rule.keys)
