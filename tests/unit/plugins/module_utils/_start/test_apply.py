# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions are done in order; when one fails, those before it are undone in reverse."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.action import Action, AlreadyDone
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import Context, Undo, undone_if_lost
from ansible_collections.zstack.kvm.plugins.module_utils._actions.live import LiveChangeRefused
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._start import apply as subject


class Recorder:
    """Executors that write down what is done and undone. Stands in for libvirt, so that any of them can fail."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.reconnected = 0
        self.lost_at: Optional[str] = None

    def state(self, uuid: str) -> tuple[str, str]:
        return "shutoff", "failed"

    def reconnect(self) -> None:
        self.reconnected += 1
        self.lost_at = None

    def executor(self, name: str) -> Any:
        def execute(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
            if "fails" in detail:
                raise detail["fails"]
            self.events.append(name)

            def undo() -> None:
                if detail.get("undo_fails"):
                    raise VmError("libvirt_error", "no")
                if self.lost_at == name:
                    raise VmError("connection_lost", "gone")
                self.events.append("undo " + name)

            return None if detail.get("final") else undo

        return execute


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    names = ("first", "second", "third", "define", "define_secret", "stop", "start")
    monkeypatch.setattr(subject, "EXECUTORS", {name: made.executor(name) for name in names})
    return made


def context_of(recorder: Recorder) -> Context:
    """A context in which the recorder is the hypervisor."""
    vm: Any = SimpleNamespace(uuid="6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11")
    return Context(recorder, None, vm, None, threading.Event())


def test_all_are_done_in_order(recorder: Recorder) -> None:
    context = context_of(recorder)
    subject.apply(context, [Action("first"), Action("second")])
    assert recorder.events == context.done == ["first", "second"]


def test_what_another_vm_has_done_already_is_neither_said_nor_undone(recorder: Recorder) -> None:
    context = context_of(recorder)
    failure = Action("third", {"fails": VmError("disk_full", "no space")})
    with pytest.raises(VmError) as caught:
        subject.apply(context, [Action("first"), Action("second", {"fails": AlreadyDone()}), failure])
    assert (caught.value.code, context.done) == ("disk_full", ["first"])
    assert recorder.events == ["first", "undo first"]


def test_a_failure_undoes_the_earlier_ones_in_reverse(recorder: Recorder) -> None:
    failure = VmError("disk_full", "no space")
    with pytest.raises(VmError) as caught:
        subject.apply(context_of(recorder), [Action("first"), Action("second"), Action("third", {"fails": failure})])
    assert recorder.events == ["first", "second", "undo second", "undo first"]
    assert (caught.value.phase, caught.value.rollback) == ("third", "done")


def test_an_old_vm_is_started_again_when_it_has_its_definition_and_its_secrets_again(recorder: Recorder) -> None:
    failure = Action("start", {"fails": VmError("qemu_failed", "no")})
    with pytest.raises(VmError):
        subject.apply(context_of(recorder), [*map(Action, ["define", "define_secret", "stop"]), failure])
    assert recorder.events[3:] == ["undo define", "undo define_secret", "undo stop"]


def test_the_state_after_a_failure_is_looked_at(recorder: Recorder) -> None:
    context = context_of(recorder)
    with pytest.raises(VmError):
        subject.apply(context, [Action("first"), Action("second", {"fails": VmError("qemu_failed", "no")})])
    assert context.state == "shutoff"


def test_a_failure_before_anything_was_done_needs_no_undoing(recorder: Recorder) -> None:
    with pytest.raises(VmError) as caught:
        subject.apply(context_of(recorder), [Action("first", {"fails": VmError("disk_full", "no space")})])
    assert caught.value.rollback == "not_needed"


def test_what_cannot_be_undone_is_said_and_the_rest_is_undone_all_the_same(recorder: Recorder) -> None:
    failure = VmError("disk_full", "no space")
    actions = [Action("first"), Action("second", {"undo_fails": True}), Action("third", {"fails": failure})]
    with pytest.raises(VmError) as caught:
        subject.apply(context_of(recorder), actions)
    assert recorder.events == ["first", "second", "undo first"]
    assert caught.value.rollback == "partial"
    assert "second could not be undone" in caught.value.message


def test_undoing_goes_on_through_a_new_connection(recorder: Recorder) -> None:
    recorder.lost_at = "second"
    failure = VmError("connection_lost", "gone")
    with pytest.raises(VmError) as caught:
        subject.apply(context_of(recorder), [Action("first"), Action("second"), Action("third", {"fails": failure})])
    assert recorder.events == ["first", "second", "undo second", "undo first"]
    assert (recorder.reconnected, caught.value.rollback) == (1, "done")


@pytest.mark.parametrize(("code", "undone"), [("connection_lost", True), ("libvirt_hangs", True), ("disk_full", False)])
def test_that_during_which_libvirt_was_lost_is_undone_too(recorder: Recorder, code: str, undone: bool) -> None:
    failure = VmError(code, "no")
    with pytest.raises(VmError), undone_if_lost(lambda: recorder.events.append("undo second")):
        raise failure
    with pytest.raises(VmError) as caught:
        subject.apply(context_of(recorder), [Action("first"), Action("second", {"fails": failure})])
    assert recorder.events == ["first", *(["undo second"] if undone else []), "undo first"]
    assert caught.value.rollback == "done"


def test_a_mistake_of_our_own_is_undone_too(recorder: Recorder) -> None:
    with pytest.raises(VmError) as caught:
        subject.apply(context_of(recorder), [Action("first"), Action("second", {"fails": KeyError("x")})])
    assert recorder.events == ["first", "undo first"]
    assert caught.value.code == "internal_error"


def test_a_live_change_that_is_refused_is_a_warning_and_waits_for_the_next_boot(recorder: Recorder) -> None:
    context = context_of(recorder)
    refusal = LiveChangeRefused("unsupported_device", "no")
    subject.apply(context, [Action("first", {"fails": refusal}), Action("second")])
    assert (context.done, context.live_change_refused) == (["second"], True)
    assert "next boots" in context.warnings[0]
