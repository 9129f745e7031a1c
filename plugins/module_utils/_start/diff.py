# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a VM in the diff: its state, its definition, and what else its plan changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._drift.walk import Difference
from .._libvirt.observed import ObservedVm
from .._spec.vm import Vm
from .plan import Plan
from .result import VmResult, domain_text

_STARTS = frozenset(["start", "restore"])
_CONTINUES = frozenset(["resume", "wake_up"])


def show_diff(vm: Vm, observed: ObservedVm, plan: Plan, definition: etree._Element, result: VmResult) -> None:
    """Note in C(result) the VM as it is, and as its plan makes it. C(definition): the one that a plan defines."""
    existing = domain_text(observed.inactive)
    state = _state(observed)
    result.before = result.after = _text(state, (), existing)
    if plan.actions:
        defines = any(action.name == "define" for action in plan.definition)
        result.before = _text(state, [(each.path, each.before) for each in plan.beside], existing)
        result.after = _text(
            _state_after(vm, observed, plan),
            [(each.path, _new(each)) for each in plan.beside],
            domain_text(definition) if defines else existing,
        )


def _new(difference: Difference) -> Optional[str]:
    after = difference.after
    return "%s (new)" % after if after == difference.before else after


def _text(state: str, values: Iterable[tuple[str, Optional[str]]], definition: str) -> str:
    lines = ["%s: %s\n" % (path, value) for path, value in values if value is not None]
    return "".join(["state: %s\n" % state, *lines, definition])


def _state_after(vm: Vm, observed: ObservedVm, plan: Plan) -> str:
    actions = {action.name for action in plan.changes}
    if actions & _STARTS:
        return "paused" if vm.create_paused else "running"
    return "running" if actions & _CONTINUES else _state(observed)


def _state(observed: ObservedVm) -> str:
    """Return the state, and why a VM is paused: that tells one that has crashed from one that is started paused."""
    return "paused (%s)" % observed.reason if observed.state == "paused" else observed.state
