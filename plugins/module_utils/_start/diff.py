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

from .._libvirt.observed import ObservedVm
from .._spec.vm import Vm
from .plan import Plan
from .result import VmResult, domain_text

_MAKES_RUN = frozenset(["start", "restore", "resume", "wake_up"])


def show_diff(vm: Vm, observed: ObservedVm, plan: Plan, definition: etree._Element, result: VmResult) -> None:
    """Note in C(result) the VM as it is, and as its plan makes it. C(definition): the one that a plan defines."""
    existing = domain_text(observed.inactive)
    result.before = result.after = _text(observed.state, (), existing)
    if plan.actions:
        defines = any(action.name == "define" for action in plan.definition)
        result.before = _text(observed.state, [(each.path, each.before) for each in plan.beside], existing)
        result.after = _text(
            _state_after(vm, observed, plan),
            [(each.path, each.after) for each in plan.beside],
            domain_text(definition) if defines else existing,
        )


def _text(state: str, values: Iterable[tuple[str, Optional[str]]], definition: str) -> str:
    lines = ["%s: %s\n" % (path, value) for path, value in values if value is not None]
    return "".join(["state: %s\n" % state, *lines, definition])


def _state_after(vm: Vm, observed: ObservedVm, plan: Plan) -> str:
    if not any(action.name in _MAKES_RUN for action in plan.changes):
        return observed.state
    return "paused" if vm.create_paused else "running"
