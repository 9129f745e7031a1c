# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing the actions of a plan, and undoing them when one fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from .._actions.action import Action, AlreadyDone
from .._actions.context import Context, Executor, Undo
from .._actions.definition import EXECUTORS as DEFINITION
from .._actions.live import EXECUTORS as LIVE
from .._actions.live import LiveChangeRefused
from .._actions.power import EXECUTORS as POWER
from .._errors.errors import VmError, mistakes_as_errors
from .._host_storage.preparation import EXECUTORS as STORAGE

EXECUTORS: Mapping[str, Executor] = {**STORAGE, **DEFINITION, **POWER, **LIVE}

# What VMs share is given back when the VM is not defined any more, so that of two that fail at once the last one takes
# it along; and an old VM is started again when all that it needs is as it was.
_UNDONE_LATE = ("create_channel_dir", *STORAGE)
_UNDONE_LAST = ("stop",)


def apply(context: Context, actions: Iterable[Action]) -> None:
    """Does the actions in order, each before the next is asked for.

    When one fails, those before it are undone, and its error says how far that got.
    """
    undos: list[tuple[str, Undo]] = []
    coming = iter(actions)
    while True:
        name = "prepare"
        try:
            action = _next(coming)
            if action is None:
                return
            name = action.name
            undo = _do(context, action)
        except AlreadyDone:
            continue
        except LiveChangeRefused as refusal:
            context.live_change_refused = True
            context.warnings.append("%s, so that it takes effect when the VM next boots" % refusal.message)
            continue
        except VmError as error:
            error.phase = error.phase or name
            if error.undo is not None:
                undos.append((name, error.undo))
            _roll_back(context, undos, error)
            raise
        context.done.append(name)
        if undo is not None:
            undos.append((name, undo))


def _next(coming: Iterator[Action]) -> Optional[Action]:
    with mistakes_as_errors():
        return next(coming, None)


def _do(context: Context, action: Action) -> Optional[Undo]:
    with mistakes_as_errors(AlreadyDone):
        return EXECUTORS[action.name](context, action.detail)


def _roll_back(context: Context, undos: list[tuple[str, Undo]], error: VmError) -> None:
    failures = []
    undos.reverse()
    undos.sort(key=_turn)
    for name, undo in undos:
        try:
            context.retried(undo)
        except VmError as failure:
            failures.append("%s could not be undone: %s" % (name, failure.message))
    with contextlib.suppress(VmError):
        context.look()
    if failures:
        error.message = "; ".join([error.message, *failures])
        error.rollback = "partial"
    elif undos:
        error.rollback = "done"


def _turn(undo: tuple[str, Undo]) -> int:
    return 2 if undo[0] in _UNDONE_LAST else int(undo[0] in _UNDONE_LATE)
