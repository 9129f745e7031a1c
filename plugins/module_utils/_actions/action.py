# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all actions: one step of a plan, with how to do and undo it."""

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
    """The turn in which the undo of an action runs; within a turn the last action is undone first."""

    EARLY = 0
    # What VMs share: not before the VM is undefined, so that of two that fail at once the last one removes it.
    SHARED = 1
    # An old VM is started again once everything that it needs is restored.
    POWER = 2


@dataclass(frozen=True)
class Outcome:
    """The result of an action.

    C(undo): reverts it; with C(failure): reverts what may have been done nevertheless. C(is_refused): the running
    VM can't be changed that way, as C(failure) explains; its definition has the change. C(is_needless): somebody
    else has done it meanwhile.
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
        """Execute the action. Raise VmError if it fails; it leaves nothing behind then."""
        raise NotImplementedError


def unanswered(call: Callable[[], object], undo: Undo) -> Outcome:
    """Make a call that C(undo) reverts. If there is no answer to it, keep the undo: it may succeed nevertheless."""
    try:
        call()
    except VmError as error:
        if not error.may_take_effect:
            raise
        if error.code == "qemu_hangs":
            error = error.replaced(message=error.message + "; libvirt may still do it")
        return Outcome(undo, failure=error)
    return Outcome(undo)
