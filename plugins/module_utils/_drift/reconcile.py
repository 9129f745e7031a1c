# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison of the domain that is asked for with the one that libvirt holds, and their merger.

One walk gives both, so they can't disagree: what the walk sets in the held definition is what it reports.
What the document decides is told by C(rules).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .hardware import (
    drop_what_depends,
    forget_hardware,
    free_desired_addresses,
    is_other_board,
    keep_plugged_memory,
)
from .normal_form import normalise_desired, normalise_existing
from .patched_away import take_patched_away
from .rule_tree import ROOT
from .walk import Difference, Found, Walk


@dataclass(frozen=True)
class Reconciled:
    """C(merged): the held definition with what is asked for set in it, and nothing else changed.

    C(other_board): machine family or architecture change, so that the guest finds all its hardware anew.
    C(found): the differences with their elements, those of C(merged) as the held ones.
    """

    merged: etree._Element
    differences: tuple[Difference, ...]
    other_board: bool = False
    found: tuple[Found, ...] = field(default=(), repr=False, compare=False)


def reconcile(
    desired: etree._Element, existing: Optional[etree._Element], unpatched: Optional[etree._Element] = None
) -> Reconciled:
    """Compare C(domain) elements, none of which is changed, and merge them.

    C(existing) is libvirt's inactive definition read with secrets, or None where there is none: then what is asked
    for is what to define. C(unpatched) is what would be asked for without domain patches, where there are any.
    Comparing C(desired) with C(merged) gives no differences.
    """
    if existing is None:
        return Reconciled(desired, ())
    desired, merged = _normalised(desired), copy.deepcopy(existing)
    normalise_existing(merged)
    if unpatched is None:
        return merge(desired, merged)
    patched_away = take_patched_away(_normalised(unpatched), desired, merged)
    reconciled = merge(desired, merged)
    found = (*patched_away, *reconciled.found)
    return replace(reconciled, differences=tuple(each.as_difference() for each in found), found=found)


def left_from_before_patches(
    desired: etree._Element, unpatched: etree._Element, live: etree._Element
) -> tuple[Difference, ...]:
    """The devices of a running domain that patches take out of it at its next boot. Nothing is changed."""
    running = copy.deepcopy(live)
    found = take_patched_away(_normalised(unpatched), _normalised(desired), running)
    return tuple(each.as_difference() for each in found)


def _normalised(domain: etree._Element) -> etree._Element:
    domain = copy.deepcopy(domain)
    normalise_desired(domain)
    return domain


def merge(desired: etree._Element, merged: etree._Element) -> Reconciled:
    """Set C(desired) in C(merged). Both are in normal form, and both are changed."""
    other_board = is_other_board(desired, merged)
    if other_board:
        forget_hardware(desired, merged)
    keep_plugged_memory(desired, merged)
    walk = Walk()
    walk.merge(ROOT, desired, merged)
    if walk.found:
        drop_what_depends(merged, frozenset(step.node.name for each in walk.found for step in each.steps[:2]))
        free_desired_addresses(walk.devices, merged)
    return Reconciled(merged, tuple(each.as_difference() for each in walk.found), other_board, tuple(walk.found))
