# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work on volumes of a VM that say how they are created: create, grow, report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._drift.walk import Difference
from .._errors.errors import Problem
from .._libvirt.observed import ObservedVm
from .plan import Plan, Policy, will_restore

if TYPE_CHECKING:
    from .._actions.action import Action
    from .._host_storage.volume_actions import CreateVolume, GrowVolume

_MISSING = ("image_missing", "storage_missing")


@dataclass
class VolumeWork:
    """The work on the volumes of one VM.

    C(growing): the differences that C(growths) remove. C(explained): option paths whose missing image needs no other
    explanation.
    """

    creations: list[CreateVolume] = field(default_factory=list)
    growths: list[GrowVolume] = field(default_factory=list)
    growing: list[Difference] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)

    def unexplained(self, problems: list[Problem]) -> Iterator[Problem]:
        """Yield the problems of storage other than the missing images that this explains."""
        for problem in problems:
            if problem.code not in _MISSING or problem.option_path not in self.explained:
                yield problem


def with_volumes(plan: Plan, work: VolumeWork, observed: ObservedVm, policy: Policy, starts: bool) -> Plan:
    """Return the plan with the work on volumes. What exists is grown before a start, or last while the VM runs."""
    differences = (*plan.differences, *work.differences)
    warnings = (*plan.warnings, *work.warnings)
    if observed.active and policy.on_drift in ("ignore", "fail"):
        return plan._replace(differences=differences, warnings=warnings)
    growths: tuple[Action, ...] = tuple(work.growths)
    growing = work.growing
    if growths and will_restore(observed, policy):
        growths, growing = (), []
        warnings = (*warnings, "the VM is suspended to disk: its volumes are grown when it has been restored")
    creates = starts or plan.definition or plan.changes
    return plan._replace(
        creations=tuple(work.creations) if creates else (),
        changes=(*growths, *plan.changes) if starts else (*plan.changes, *growths),
        differences=differences,
        warnings=warnings,
        beside=(*plan.beside, *growing),
    )
