# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove from existing definitions the devices that domain patches remove from the domain."""

from __future__ import annotations

import copy
from collections.abc import Callable

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .rule_tree import ROOT, RuleNode
from .text import element_text
from .walk import Found, Step, Walk, by_tag, partners_of


def remove_patched_away(
    built: etree._Element,
    patched: etree._Element,
    existing: etree._Element,
    accepts: Callable[[Found], bool] = lambda found: False,
) -> tuple[Found, ...]:
    """Remove the devices from C(existing) that C(built), a domain without its patches, has and C(patched) hasn't.

    All are in normal form. What the document owns anyway is left to the walk, and so is a device that differs from
    the one in C(built): somebody else wrote it.
    """
    devices = Step(ROOT.child("devices"), patched.find("devices"), existing.find("devices"))
    found = []
    for tag, before in by_tag(built.find("devices")).items():
        child = devices.node.child(tag)
        if tag == "emulator":
            # libvirt always has one.
            continue
        kept = partners_of(child.rule, before, patched.findall("devices/" + tag))
        present = partners_of(child.rule, before, devices.existing.findall(tag))
        for index, device in enumerate(before):
            other = None if device in kept else present.get(device)
            if other is not None and not _is_for_the_walk(child, other) and _is_as_desired(child, device, other):
                gone = Found((devices, Step(child, None, other, index)), "", element_text(other), None)
                if not accepts(gone):
                    found.append(gone)
                    devices.existing.remove(other)
    return tuple(found)


def _is_for_the_walk(node: RuleNode, existing: etree._Element) -> bool:
    return node.rule.owned and not (node.rule.unless and node.rule.unless(existing))


def _is_as_desired(node: RuleNode, desired: etree._Element, existing: etree._Element) -> bool:
    walk = Walk()
    walk.merge(node, copy.deepcopy(desired), copy.deepcopy(existing))
    return not walk.found
