# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply the policy to a VM whose machine type the hypervisor's QEMU no longer has."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.build import DesiredDomain
from .._drift.missing_machine import (
    MissingMachine,
    missing_machine,
    missing_machine_problem,
    saved_memory_problem,
    with_machine,
)
from .._errors.errors import Problem
from .._host.capabilities import Capabilities
from .._spec.vm import Vm


class MachineTypes:
    """The machine types of a VM: of its definition, and of the running VM, each C(None) if the VM has none.

    C(to_define), C(to_run): the desired domain to compare each with; moved, they differ in the machine type.
    """

    def __init__(
        self,
        vm: Vm,
        desired: DesiredDomain,
        existing: Optional[etree._Element],
        live: Optional[etree._Element],
        capabilities: Capabilities,
        moves: bool,
    ) -> None:
        self._vm, self._moves = vm, moves
        self._defined = missing_machine(vm, desired.element, existing, capabilities)
        self.to_define = self._moved(desired, self._defined)
        self.to_run = self._moved(desired, missing_machine(vm, desired.element, live, capabilities))

    def problems(self, restores: bool) -> list[Problem]:
        """Return what prevents a start or a definition. C(restores): whether the VM's saved memory is restored."""
        if self._defined is None:
            return []
        if restores:
            return [saved_memory_problem(self._vm, self._defined)]
        return [] if self._is_moved(self._defined) else [missing_machine_problem(self._vm, self._defined)]

    def warnings(self) -> list[str]:
        """Return a warning about a VM that is left as it is, and could not be started again."""
        return [str(problem) for problem in self.problems(restores=False)]

    def _moved(self, desired: DesiredDomain, missing: Optional[MissingMachine]) -> DesiredDomain:
        if missing is None or missing.newest is None or not self._moves:
            return desired
        unpatched = None if desired.unpatched is None else with_machine(desired.unpatched, missing.newest)
        return desired._replace(element=with_machine(desired.element, missing.newest), unpatched=unpatched)

    def _is_moved(self, missing: MissingMachine) -> bool:
        return self._moves and missing.newest is not None
