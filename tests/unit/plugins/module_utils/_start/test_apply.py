# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions are executed in order; when one fails, those before it are undone in reverse."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.action import (
    Action,
    Outcome,
    RollbackTurn,
    unanswered,
)
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import ActionContext
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Failure, VmError, VmFailed
from ansible_collections.zstack.kvm.plugins.module_utils._start.apply import apply


class Recorder:
    """Records what is done and undone. Stands in for libvirt, so that any action can fail."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.reconnected = 0
        self.lost_at: Optional[str] = None

    def state(self, uuid: str) -> tuple[str, str]:
        return "shutoff", "failed"

    def reconnect(self) -> None:
        self.reconnected += 1
        self.lost_at = None


@dataclass(frozen=True)
class Step(Action):
    """An action that reports to the recorder."""

    recorder: Recorder
    name: str  # type: ignore[misc]
    rollback_turn: RollbackTurn = RollbackTurn.EARLY  # type: ignore[misc]
    raises: Optional[Exception] = None
    undo_fails: bool = False

    def do(self, context: ActionContext) -> Outcome:
        if self.raises is not None:
            raise self.raises
        self.recorder.events.append(self.name)
        return Outcome(self.undo)

    def undo(self) -> None:
        if self.undo_fails:
            raise VmError("libvirt_error", "no")
        if self.recorder.lost_at == self.name:
            raise VmError("connection_lost", "gone")
        self.recorder.events.append("undo " + self.name)


@dataclass(frozen=True)
class Given(Action):
    """An action with this outcome."""

    outcome: Outcome
    name = "given"

    def do(self, context: ActionContext) -> Outcome:
        return self.outcome


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def context_of(recorder: Recorder) -> ActionContext:
    """Return a context in which the recorder is the hypervisor."""
    vm: Any = SimpleNamespace(uuid="6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11")
    return ActionContext(recorder, None, vm, None, threading.Event())


def failure_of(recorder: Recorder, *actions: Action) -> Failure:
    """Apply the actions, which must fail, and return the failure."""
    with pytest.raises(VmFailed) as caught:
        apply(context_of(recorder), actions)
    return caught.value.failure


def failing(recorder: Recorder, error: Exception, name: str = "failing") -> Step:
    return Step(recorder, name, raises=error)


def test_all_are_done_in_order(recorder: Recorder) -> None:
    context = context_of(recorder)
    apply(context, [Step(recorder, "first"), Step(recorder, "second")])
    assert recorder.events == context.done == ["first", "second"]


def test_an_action_that_another_vm_has_done_is_neither_reported_nor_undone(recorder: Recorder) -> None:
    context = context_of(recorder)
    failure = failing(recorder, VmError("disk_full", "no space"))
    with pytest.raises(VmFailed):
        apply(context, [Step(recorder, "first"), Given(Outcome(is_needless=True)), failure])
    assert context.done == ["first"]
    assert recorder.events == ["first", "undo first"]


def test_a_failure_undoes_the_earlier_ones_in_reverse(recorder: Recorder) -> None:
    last = failing(recorder, VmError("disk_full", "no space"), "third")
    failure = failure_of(recorder, Step(recorder, "first"), Step(recorder, "second"), last)
    assert recorder.events == ["first", "second", "undo second", "undo first"]
    assert (failure.error.code, failure.phase, failure.rollback) == ("disk_full", "third", "done")


def test_an_old_vm_is_started_again_when_it_has_its_definition_and_what_it_shares_again(recorder: Recorder) -> None:
    stop = Step(recorder, "stop", RollbackTurn.POWER)
    secret = Step(recorder, "secret", RollbackTurn.SHARED)
    failure_of(recorder, Step(recorder, "define"), secret, stop, failing(recorder, VmError("qemu_failed", "no")))
    assert recorder.events[3:] == ["undo define", "undo secret", "undo stop"]


def test_the_state_after_a_failure_is_read(recorder: Recorder) -> None:
    context = context_of(recorder)
    with pytest.raises(VmFailed):
        apply(context, [failing(recorder, VmError("qemu_failed", "no"))])
    assert context.state == "shutoff"


def test_a_failure_before_anything_was_done_needs_no_undoing(recorder: Recorder) -> None:
    assert failure_of(recorder, failing(recorder, VmError("disk_full", "no space"))).rollback == "not_needed"


def test_a_failing_undo_is_reported_and_the_rest_is_undone(recorder: Recorder) -> None:
    stuck = Step(recorder, "second", undo_fails=True)
    failure = failure_of(recorder, Step(recorder, "first"), stuck, failing(recorder, VmError("disk_full", "no space")))
    assert recorder.events == ["first", "second", "undo first"]
    assert failure.rollback == "partial"
    assert "second could not be undone" in failure.error.message


def test_undoing_continues_through_a_new_connection(recorder: Recorder) -> None:
    recorder.lost_at = "second"
    lost = failing(recorder, VmError("connection_lost", "gone"))
    failure = failure_of(recorder, Step(recorder, "first"), Step(recorder, "second"), lost)
    assert recorder.events == ["first", "second", "undo second", "undo first"]
    assert (recorder.reconnected, failure.rollback) == (1, "done")


@pytest.mark.parametrize("code", ["connection_lost", "libvirt_hangs"])
def test_that_during_which_libvirt_was_lost_is_undone_too(recorder: Recorder, code: str) -> None:
    def call() -> None:
        raise VmError(code, "no")

    second = Given(unanswered(call, lambda: recorder.events.append("undo second")))
    failure = failure_of(recorder, Step(recorder, "first"), second)
    assert recorder.events == ["first", "undo second", "undo first"]
    assert (failure.error.code, failure.rollback) == (code, "done")


def test_an_unexpected_exception_is_undone_too(recorder: Recorder) -> None:
    failure = failure_of(recorder, Step(recorder, "first"), failing(recorder, KeyError("x")))
    assert recorder.events == ["first", "undo first"]
    assert failure.error.code == "internal_error"


def test_a_live_change_that_is_refused_is_a_warning_and_waits_for_the_next_boot(recorder: Recorder) -> None:
    context = context_of(recorder)
    refused = Given(Outcome(failure=VmError("unsupported_device", "no"), is_refused=True))
    apply(context, [refused, Step(recorder, "second")])
    assert (context.done, context.live_change_refused) == (["second"], True)
    assert "next boots" in context.warnings[0]
