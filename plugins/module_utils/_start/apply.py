# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Execute the actions of a plan, and undo them when one fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

from .._actions.action import Action, Outcome, RollbackTurn, Undo
from .._actions.context import ActionContext
from .._errors.errors import BootDiagnostics, Failure, VmError, VmFailed, internal_errors


class _Undo(NamedTuple):
    """The undo of an action, and its turn."""

    name: str
    turn: RollbackTurn
    call: Undo


def apply(context: ActionContext, actions: Iterable[Action]) -> None:
    """Execute the actions in order, each before the next is requested.

    When one fails, undo those before it and raise VmFailed, which says how far that got.
    """
    undos: list[_Undo] = []
    coming = iter(actions)
    while True:
        phase = "prepare"
        try:
            action = _next(coming)
            if action is None:
                return
            phase = action.name
            outcome = _do(context, action)
        except VmError as error:
            raise VmFailed(_rolled_back(context, undos, phase, error)) from error
        if outcome.undo is not None:
            undos.append(_Undo(action.name, action.rollback_turn, outcome.undo))
        _note(context, action, outcome, undos)


def _next(coming: Iterator[Action]) -> Optional[Action]:
    with internal_errors():
        return next(coming, None)


def _do(context: ActionContext, action: Action) -> Outcome:
    with internal_errors():
        return action.do(context)


def _note(context: ActionContext, action: Action, outcome: Outcome, undos: Sequence[_Undo]) -> None:
    """Record the outcome of an action, and raise its failure."""
    if outcome.is_needless:
        return
    if outcome.failure is None:
        context.done.append(action.name)
    elif outcome.is_refused:
        context.live_change_refused = True
        context.warnings.append("%s; it takes effect when the VM next boots" % outcome.failure.message)
    else:
        failure = _rolled_back(context, undos, action.name, outcome.failure, outcome.diagnostics)
        raise VmFailed(failure) from outcome.failure


def _rolled_back(
    context: ActionContext,
    undos: Sequence[_Undo],
    phase: str,
    error: VmError,
    diagnostics: Optional[BootDiagnostics] = None,
) -> Failure:
    """Undo what was done, and return the failure."""
    left = []
    latest_first = undos[::-1]
    for undo in sorted(latest_first, key=lambda each: each.turn):
        try:
            context.retried(undo.call)
        except VmError as problem:
            left.append("%s could not be undone: %s" % (undo.name, problem.message))
    with contextlib.suppress(VmError):
        context.look()
    if left:
        return Failure(error.replaced(message="; ".join([error.message, *left])), phase, "partial", diagnostics)
    return Failure(error, phase, "done" if undos else "not_needed", diagnostics)
