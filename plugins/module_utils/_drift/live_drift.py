# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a running VM with the desired one. Pure; C(live_changes) plans what can be applied while it runs."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.bridge_ports import Ports, show_strays
from ..import_lock import import_lock
from .live_form import as_definition
from .normal_form import normalise_desired, normalise_existing
from .reconcile import merge
from .walk import Difference, Found

if TYPE_CHECKING:
    from .._actions.action import Action

# Elements that only people read, and the guest doesn't see.
_LABELS = frozenset({"description"})


class LiveDrift(NamedTuple):
    """The differences between the running domain and the desired one.

    C(differences): all of them; C(for_guest): those that the guest can see. C(actions) change the running VM,
    after which C(remaining) is left for its next boot.
    """

    differences: tuple[Difference, ...] = ()
    for_guest: tuple[Difference, ...] = ()
    actions: tuple[Action, ...] = ()
    remaining: tuple[Difference, ...] = ()


def live_drift(
    desired: etree._Element, live: etree._Element, ports: Ports, definition: Optional[etree._Element] = None
) -> LiveDrift:
    """Compare the desired C(domain) with the live XML (read with secrets), and plan what can be done now.

    C(ports): the bridges of its NICs' devices, as far as they are known. C(definition) is what the next boot uses, for
    a domain with patches: where the live domain agrees with it, libvirt has rewritten what was desired.
    """
    desired, merged = copy.deepcopy(desired), copy.deepcopy(live)
    running = {
        merged_element: live_element
        for section in (".", "devices")
        for merged_element, live_element in zip(merged.iterfind(section + "/*"), live.iterfind(section + "/*"))
    }
    found = _found(desired, merged, ports)
    if definition is not None and found:
        unlike_definition = _found(copy.deepcopy(definition), copy.deepcopy(live), ports)
        found = [each for each in found if any(_is_about_the_same(each, other) for other in unlike_definition)]
    if not found:
        return LiveDrift()
    # Most VMs are in sync: what changes them is imported for the others only.
    with import_lock:
        from .live_changes import plan_live_changes

    planned = plan_live_changes(desired, live, ports, found, running)
    differences = tuple(each.as_difference() for each in found)
    return LiveDrift(
        differences,
        tuple(each for each in differences if each.path.partition("/")[0] not in _LABELS),
        planned.actions,
        tuple(found.as_difference() for found in planned.remaining),
    )


def restart_changes(defined: etree._Element, live: etree._Element, ports: Ports) -> bool:
    """Return whether the guest would see a change if the running domain were replaced by the defined one."""
    return bool(live_drift(defined, live, ports).for_guest)


def _found(desired: etree._Element, live: etree._Element, ports: Ports) -> list[Found]:
    """Return the differences; both arguments are changed."""
    normalise_desired(desired)
    normalise_existing(live)
    show_strays(live, ports)
    as_definition(live, desired)
    return list(merge(desired, live).found)


def _is_about_the_same(one: Found, other: Found) -> bool:
    """Return whether one is about the same element as the other, or about a part of it."""
    short, long = sorted((one.path, other.path), key=len)
    return long == short or long.startswith(short + "/")
