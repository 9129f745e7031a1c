# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a plan: what it is, and, in the subclasses beside it, how it is done and undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Optional

from .._errors.errors import BootDiagnostics, VmError

if TYPE_CHECKING:
    from .context import ActionContext

Undo = Callable[[], None]


class RollbackTurn(IntEnum):
    """When the undo of an action runs; within a turn the last action is undone first."""

    EARLY = 0
    # What VMs share: not before the VM is undefined, so that of two that fail at once the last one takes it along.
    SHARED = 1
    # An old VM is started again when all that it needs is as it was.
    POWER = 2


@dataclass(frozen=True)
class Outcome:
    """What became of an action.

    C(undo): takes it back; with C(failure): takes back what may have been done all the same. C(is_refused): the
    running VM can't be changed that way, which C(failure) explains; its definition has the change. C(is_needless):
    somebody else has done it meanwhile.
    """

    undo: Optional[Undo] = None
    failure: Optional[VmError] = None
    diagnostics: Optional[BootDiagnostics] = None
    is_refused: bool = False
    is_needless: bool = False


class Action:
    """A step of a plan. Subclasses are frozen dataclasses whose fields may hold secrets: they have no repr."""

    name: ClassVar[str]
    needs_preparation: ClassVar[bool] = False
    rollback_turn: ClassVar[RollbackTurn] = RollbackTurn.EARLY

    @property
    def shared(self) -> str:
        """Return the name of what several VMs need and the first of them creates; empty for an action of one VM."""
        return ""

    def do(self, context: ActionContext) -> Outcome:
        """Do it. Raise VmError when it fails and leaves nothing behind."""
        raise NotImplementedError


def unanswered(call: Callable[[], object], undo: Undo) -> Outcome:
    """Make a call that C(undo) takes back, also where libvirt is lost during it: nobody knows whether it was done."""
    try:
        call()
    except VmError as error:
        if not error.lost_libvirt:
            raise
        return Outcome(undo, failure=error)
    return Outcome(undo)
