# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the desired domain with the one that libvirt has, and merge them.

One walk does both, so they can't disagree: what the walk sets in the existing definition is what it reports.
C(rules) says what the document decides.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from ..import_lock import import_lock
from .hardware import (
    accept_unnamed_variables,
    drop_chosen_firmware,
    drop_what_depends,
    forget_hardware,
    forget_other_network_cards,
    free_desired_addresses,
    is_other_board,
    keep_derived_firmware,
    keep_plugged_memory,
)
from .normal_form import normalise_desired, normalise_existing
from .rewritten import as_record, fingerprint, forget_record, recorded, section_of
from .rule_tree import ROOT
from .walk import Difference, Found, Walk


@dataclass(frozen=True)
class Reconciled:
    """C(merged): the existing definition with the desired values set in it, and nothing else changed.

    C(other_board): machine family or architecture change, so that the guest detects all its hardware again.
    C(found): the differences with their elements, those of C(merged) as the existing ones.
    """

    merged: etree._Element
    differences: tuple[Difference, ...]
    other_board: bool = False
    found: tuple[Found, ...] = field(default=(), repr=False, compare=False)


def reconcile(
    desired: etree._Element, existing: Optional[etree._Element], unpatched: Optional[etree._Element] = None
) -> Reconciled:
    """Compare C(domain) elements, none of which is changed, and merge them.

    C(existing) is libvirt's inactive definition read with secrets, or None if there is none: then C(desired)
    is what to define. C(unpatched) is what would be desired without domain patches, if there are any.
    Comparing C(desired) with C(merged) gives no differences.
    """
    if existing is None:
        return Reconciled(desired, ())
    if unpatched is not None:
        return _reconcile_patched(desired, existing, unpatched, recorded(existing))
    desired, merged = _normalised(desired), copy.deepcopy(existing)
    forget_record(merged)
    normalise_existing(merged)
    return merge(desired, merged)


def _reconcile_patched(
    desired: etree._Element, existing: etree._Element, unpatched: etree._Element, known: frozenset[str]
) -> Reconciled:
    """Compare as L(reconcile) does, but ignore what libvirt has rewritten: C(known) are the fingerprints."""
    with import_lock:
        from .patched_away import remove_patched_away

    def compare(accepts: Callable[[Found], bool]) -> Reconciled:
        patched, merged = _normalised(desired), copy.deepcopy(existing)
        normalise_existing(merged)
        patched_away = remove_patched_away(_normalised(unpatched), patched, merged, accepts)
        reconciled = merge(patched, merged, accepts)
        found = (*patched_away, *reconciled.found)
        return replace(reconciled, differences=tuple(each.as_difference() for each in found), found=found)

    reconciled = compare(lambda found: False)
    # A section that is rewritten only in part is set completely, so that nothing mixes.
    changed = {section_of(found) for found in reconciled.found if fingerprint(found) not in known}
    if all(section_of(found) in changed for found in reconciled.found):
        return reconciled
    return compare(lambda found: section_of(found) not in changed)


def rewritten(desired: etree._Element, unpatched: etree._Element, defined: etree._Element) -> Optional[str]:
    """Return the record, for the metadata, of what libvirt rewrote in a new definition, or None if it rewrote nothing.

    C(defined) is libvirt's definition now; it was given what L(reconcile) merged.
    """
    return as_record(_reconcile_patched(desired, defined, unpatched, frozenset()).found)


def left_from_before_patches(
    desired: etree._Element, unpatched: etree._Element, live: etree._Element, definition: etree._Element
) -> tuple[Difference, ...]:
    """Return the devices of a running domain that patches remove at its next boot; nothing is changed.

    C(definition) is what the next boot uses: libvirt may have put back what they remove.
    """
    with import_lock:
        from .patched_away import remove_patched_away

    built, patched = _normalised(unpatched), _normalised(desired)
    put_back = {found.path for found in remove_patched_away(built, patched, copy.deepcopy(definition))}
    left = remove_patched_away(built, patched, copy.deepcopy(live))
    return tuple(found.as_difference() for found in left if found.path not in put_back)


def _normalised(domain: etree._Element) -> etree._Element:
    domain = copy.deepcopy(domain)
    normalise_desired(domain)
    return domain


def merge(
    desired: etree._Element, merged: etree._Element, accepts: Optional[Callable[[Found], bool]] = None
) -> Reconciled:
    """Set C(desired) in C(merged), except for the differences that C(accepts) returns true for.

    Both are in normal form, and both are changed.
    """
    other_board = is_other_board(desired, merged)
    if other_board:
        forget_hardware(desired, merged)
    forget_other_network_cards(desired, merged)
    keep_plugged_memory(desired, merged)
    keep_derived_firmware(desired, merged)
    accept_unnamed_variables(desired, merged)
    walk = Walk(accepts)
    walk.merge(ROOT, desired, merged)
    if walk.found:
        if any(_chooses_firmware(each) for each in walk.found):
            drop_chosen_firmware(desired, merged)
        drop_what_depends(merged, frozenset(step.node.name for each in walk.found for step in each.steps[:2]))
        free_desired_addresses(walk.devices, merged)
    return Reconciled(merged, tuple(each.as_difference() for each in walk.found), other_board, tuple(walk.found))


def _chooses_firmware(found: Found) -> bool:
    names = [step.node.name for step in found.steps]
    return names[:2] == ["os", "firmware"] or (names == ["os"] and found.last == "@firmware")
