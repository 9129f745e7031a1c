# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs are started, stopped, resumed and woken up; one that does not come up is off afterwards, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions import power
from ansible_collections.zstack.kvm.plugins.module_utils._actions.action import Action, Outcome, RollbackTurn
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import ActionContext
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import power_off
from ansible_collections.zstack.kvm.tests.unit.fakes import (
    UUID,
    FakeDomain,
    FakeHypervisor,
    FakeSystem,
    RemoteFakeSystem,
    context_of,
    parsed_vm,
)

LOST = VmError("connection_lost", "gone")
REFUSED = VmError("libvirt_error", "no", libvirt_code=1, libvirt_message="no")
KILL = ("kill", "/run/libvirt/qemu/%s.pid" % UUID.replace("-", ""))
XML = "<domain><uuid>%s</uuid></domain>" % UUID


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each wait check its condition once."""
    monkeypatch.setattr(ActionContext, "wait_for", lambda context, condition, seconds, pause=0: condition())
    monkeypatch.setattr(power_off, "wait_until", lambda condition, seconds, cancelled: condition())


class Host(FakeSystem):
    """A hypervisor that records what it kills among the libvirt calls; C(log): what QEMU writes during a start."""

    def __init__(self, libvirt: FakeHypervisor, log: str = "") -> None:
        super().__init__()
        self._libvirt = libvirt
        self._log = log

    def file_size(self, path: str) -> int:
        return len(self._log) if self._libvirt.changes else 0

    def read_tail(self, path: str, size: int) -> str:
        return self._log

    def kill_process(self, pid_file: str, argument: str) -> None:
        self._libvirt.note("kill", pid_file)

    def running(self, pid_file: str, argument: str) -> Optional[int]:
        return None


def libvirt_with(state: str = "shutoff", reason: str = "destroyed", **errors: VmError) -> FakeHypervisor:
    """Return a libvirt with the VM in that state, whose next calls of these names raise an error."""
    libvirt = FakeHypervisor({UUID: FakeDomain(state, reason)})
    libvirt.errors.update(errors)
    return libvirt


def names(libvirt: FakeHypervisor) -> list[str]:
    return [call[0] for call in libvirt.changes]


def context_with(libvirt: FakeHypervisor, log: str = "", **observed: Any) -> ActionContext:
    return context_of(libvirt, Host(libvirt, log), **observed)


def failure_of(outcome: Outcome) -> VmError:
    assert outcome.failure is not None
    return outcome.failure


def ends_up(libvirt: FakeHypervisor, state: str, reason: str) -> None:
    """Let the VM be in this state after its start."""

    def run(domain: FakeDomain) -> None:
        domain.state, domain.reason = state, reason

    libvirt.on_start = run


class Answers:
    """Returns or raises one answer after another."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def __call__(self) -> Any:
        answer = self._answers.pop(0)
        if isinstance(answer, VmError):
            raise answer
        return answer


def polled(context: ActionContext, condition: Callable[[], bool], seconds: float, pause: float = 0) -> bool:
    """Wait for a condition that is checked three times."""
    return any(condition() for _time in range(3))


class TestAStart:
    def test_is_undone_by_force(self) -> None:
        libvirt = libvirt_with()
        outcome = power.Start().do(context_with(libvirt))
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == [("create", UUID), ("destroy", UUID)]

    def test_of_saved_memory_is_not_undone_which_would_lose_it(self) -> None:
        assert power.Start().do(context_with(libvirt_with(), saved=True)) == Outcome()

    def test_of_saved_memory_resumes_a_vm_that_was_saved_while_it_was_paused(self) -> None:
        libvirt = libvirt_with()
        ends_up(libvirt, "paused", "user")
        power.Start().do(context_with(libvirt, saved=True))
        assert names(libvirt) == ["create", "resume"]

    def test_that_libvirt_refuses_says_what_qemu_wrote(self) -> None:
        libvirt = libvirt_with(create=VmError("qemu_failed", "no"))
        with pytest.raises(VmError) as caught:
            power.Start().do(context_with(libvirt, "qemu-system-x86_64: no such device\n"))
        assert caught.value.message == "no; QEMU's log ends with: qemu-system-x86_64: no such device"
        assert names(libvirt) == ["create"]

    def test_of_saved_memory_that_libvirt_refuses_has_an_error_of_its_own(self) -> None:
        with pytest.raises(VmError) as caught:
            power.Start().do(context_with(libvirt_with(create=REFUSED), saved=True))
        assert (caught.value.code, caught.value.libvirt_code, caught.value.libvirt_message) == (
            "saved_state_failed",
            1,
            "no",
        )
        assert caught.value.message == "the VM could not be restored from its saved memory: no"

    def test_of_saved_memory_that_fails_for_a_known_reason_says_what_to_do_about_both(self) -> None:
        with pytest.raises(VmError) as caught:
            power.Start().do(context_with(libvirt_with(create=VmError("disk_full", "no")), saved=True))
        assert caught.value.code == "disk_full"
        assert caught.value.hint == "%s %s" % (ERROR_CODES["disk_full"].hint, ERROR_CODES["saved_state_failed"].hint)

    def test_after_which_the_vm_runs_nevertheless_has_succeeded(self) -> None:
        libvirt = libvirt_with("running", "booted", create=LOST)
        assert power.Start().do(context_with(libvirt)).failure is None
        assert names(libvirt) == ["create", "reconnect"]

    def test_that_has_not_finished_is_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        libvirt = libvirt_with(create=LOST)
        context = context_with(libvirt)
        starting, running = ("paused", "starting_up"), ("running", "booted")
        context.look = Answers(starting, starting, running, running, running)  # type: ignore[method-assign]
        monkeypatch.setattr(ActionContext, "wait_for", polled)
        assert power.Start().do(context).failure is None

    def test_that_is_interrupted_leaves_no_vm(self) -> None:
        libvirt = libvirt_with()
        libvirt.on_start = lambda domain: libvirt.errors.update(state=VmError("interrupted", "stop"))
        outcome = power.Start().do(context_with(libvirt))
        assert failure_of(outcome).code == "interrupted"
        assert (names(libvirt), outcome.undo) == (["create", "destroy"], None)

    def test_during_which_libvirtd_stays_away_leaves_no_qemu(self) -> None:
        libvirt = libvirt_with(create=LOST, reconnect=LOST)
        with pytest.raises(VmError):
            power.Start().do(context_with(libvirt))
        assert libvirt.changes == [("create", UUID), ("reconnect",), KILL]

    def test_of_saved_memory_kills_no_qemu(self) -> None:
        libvirt = libvirt_with(create=LOST, reconnect=LOST)
        with pytest.raises(VmError):
            power.Start().do(context_with(libvirt, saved=True))
        assert names(libvirt) == ["create", "reconnect"]

    def test_in_which_qemu_hangs_is_given_up(self) -> None:
        libvirt = libvirt_with(create=VmError("qemu_hangs", "no"))
        outcome = power.Start().do(context_with(libvirt))
        assert failure_of(outcome).message == "the VM did not start within 1 seconds"
        assert outcome.diagnostics is not None
        assert libvirt.changes == [("create", UUID), KILL, ("destroy", UUID)]

    @pytest.mark.parametrize(
        ("state", "reason", "code"),
        [
            ("shutoff", "crashed", "qemu_failed"),
            ("crashed", "panicked", "qemu_failed"),
            ("paused", "ioerror", "start_timeout"),
        ],
    )
    def test_that_leads_to_another_state_ends_with_the_vm_off_and_what_was_seen(
        self, state: str, reason: str, code: str
    ) -> None:
        libvirt = libvirt_with()
        ends_up(libvirt, state, reason)
        outcome = power.Start().do(context_with(libvirt))
        assert failure_of(outcome).code == code
        assert failure_of(outcome).message.endswith("%s (%s)" % (state, reason))
        assert outcome.diagnostics is not None
        assert (names(libvirt), outcome.undo) == (["create", "destroy"], None)

    def test_sets_the_oom_score_without_which_the_vm_runs_as_well(self) -> None:
        context = context_with(libvirt_with())
        context.vm = parsed_vm(oom_score_adj=100)
        assert power.Start().do(context).failure is None
        assert context.warnings == ["the OOM score of the VM cannot be set because its QEMU was not found"]

    def test_does_not_warn_if_the_default_oom_score_cannot_be_set(self) -> None:
        context = context_with(libvirt_with())
        context.vm = parsed_vm(oom_score_adj=0)
        assert power.Start().do(context).failure is None
        assert context.warnings == []


class TestARestoreFromAMemorySnapshot:
    ACTION = power.Restore("/memory", XML)

    def test_is_undone_by_force(self) -> None:
        libvirt = libvirt_with()
        outcome = self.ACTION.do(context_with(libvirt))
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == [("restore", "/memory", XML), ("destroy", UUID)]

    @pytest.mark.parametrize(
        ("code", "explained"), [("libvirt_error", "memory_snapshot_failed"), ("disk_full", "disk_full")]
    )
    def test_that_fails_for_no_known_reason_has_an_error_of_its_own(self, code: str, explained: str) -> None:
        refused = VmError(code, "no", libvirt_code=1, libvirt_message="libvirt's no")
        with pytest.raises(VmError) as caught:
            self.ACTION.do(context_with(libvirt_with(restore=refused)))
        assert caught.value.code == explained
        assert (caught.value.libvirt_code, caught.value.libvirt_message) == (1, "libvirt's no")


@pytest.mark.parametrize("action", [power.Start(), power.Restore("/memory", XML)], ids=["start", "restore"])
def test_a_vm_that_is_to_be_paused_is_up_when_it_is(action: power.Start) -> None:
    libvirt = libvirt_with()
    context = context_with(libvirt)
    context.vm = parsed_vm(create_paused=True)
    assert action.do(context).failure is None
    assert (libvirt.domains[UUID].state, context.state) == ("paused", "paused")


def test_discarding_saved_memory_cannot_be_undone() -> None:
    libvirt = libvirt_with()
    context = context_with(libvirt, saved=True)
    outcome = power.DiscardSavedState().do(context)
    assert names(libvirt) == ["discard_saved_state"]
    assert not context.observed.saved
    assert outcome.undo is not None
    with pytest.raises(VmError, match="has been discarded"):
        outcome.undo()


def test_saved_memory_whose_removal_libvirt_did_not_answer_may_be_gone() -> None:
    libvirt = libvirt_with()
    libvirt.errors["discard_saved_state"] = VmError("libvirt_hangs", "no")
    context = context_with(libvirt, saved=True)
    outcome = power.DiscardSavedState().do(context)
    assert (failure_of(outcome).code, context.observed.saved) == ("libvirt_hangs", True)
    assert outcome.undo is not None
    with pytest.raises(VmError, match="or may have been"):
        outcome.undo()


def shuts_down(libvirt: FakeHypervisor) -> FakeHypervisor:
    def off(domain: FakeDomain) -> None:
        domain.state = "shutoff"

    libvirt.on_shutdown = off
    return libvirt


def fails(libvirt: FakeHypervisor, error: VmError, state: str = "running") -> FakeHypervisor:
    """Let a request to shut down fail, and the VM be in that state afterwards."""

    def fail(domain: FakeDomain) -> None:
        domain.state = state
        raise error

    libvirt.on_shutdown = fail
    return libvirt


class TestAStop:
    @pytest.mark.parametrize(
        ("libvirt", "graceful", "calls"),
        [
            (lambda: shuts_down(libvirt_with("running")), True, ["shutdown"]),
            (lambda: libvirt_with("running"), True, ["shutdown", "destroy"]),
            (lambda: fails(libvirt_with("running"), REFUSED), True, ["shutdown", "destroy"]),
            (lambda: libvirt_with("running"), False, ["destroy"]),
        ],
        ids=["shuts down", "does not", "cannot be asked", "is not asked"],
    )
    def test_forces_off_what_does_not_shut_down(
        self, libvirt: Callable[[], FakeHypervisor], graceful: bool, calls: Sequence[str]
    ) -> None:
        used = libvirt()
        power.Stop(graceful).do(context_with(used, state="running"))
        assert names(used) == calls
        assert used.domains[UUID].state == "shutoff"

    @pytest.mark.parametrize(("state", "call"), [("paused", "resume"), ("pmsuspended", "wake_up")])
    def test_lets_a_guest_run_that_is_to_shut_down(self, state: str, call: str) -> None:
        libvirt = shuts_down(libvirt_with(state))
        power.Stop(graceful=True).do(context_with(libvirt, state=state))
        assert names(libvirt) == [call, "shutdown"]

    def test_is_undone_by_a_start_when_all_else_is_restored(self) -> None:
        libvirt = libvirt_with("running")
        outcome = power.Stop(graceful=False).do(context_with(libvirt))
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == [("destroy", UUID), ("create", UUID)]
        assert power.Stop.rollback_turn == RollbackTurn.POWER

    @pytest.mark.parametrize(("state", "fails_too"), [("shutoff", True), ("running", False)])
    def test_cannot_be_undone_unless_the_vm_runs_in_the_end(self, state: str, fails_too: bool) -> None:
        libvirt = libvirt_with("running")
        outcome = power.Stop(graceful=False).do(context_with(libvirt))
        libvirt.errors["create"] = REFUSED
        libvirt.domains[UUID].state = state
        assert outcome.undo is not None
        with pytest.raises(VmError) if fails_too else nullcontext():
            outcome.undo()

    def test_of_a_vm_that_is_busy_is_an_error(self) -> None:
        libvirt = fails(libvirt_with("running"), VmError("vm_busy", "a job"))
        with pytest.raises(VmError):
            power.Stop(graceful=True).do(context_with(libvirt, state="running"))
        assert libvirt.domains[UUID].state == "running"

    @pytest.mark.parametrize(
        ("code", "message"),
        [("connection_lost", "the guest may have been asked"), ("interrupted", "the guest has been asked")],
    )
    def test_that_is_given_up_warns_that_the_guest_may_still_shut_down(self, code: str, message: str) -> None:
        libvirt = fails(libvirt_with("running"), VmError(code, "no"))
        with pytest.raises(VmError, match=message):
            power.Stop(graceful=True).do(context_with(libvirt, state="running"))
        assert names(libvirt) == ["shutdown"]

    @pytest.mark.parametrize("state", ["running", "paused"])
    def test_does_not_end_a_vm_on_which_a_job_began_while_its_guest_was_waited_for(self, state: str) -> None:
        libvirt = libvirt_with("running")

        def begin(domain: FakeDomain) -> None:
            libvirt.job = state == "running"
            domain.state, domain.reason = state, "migration"

        libvirt.on_shutdown = begin
        with pytest.raises(VmError, match="meanwhile a job has begun on the VM, which is %s" % state) as caught:
            power.Stop(graceful=True).do(context_with(libvirt, state="running"))
        assert (caught.value.code, libvirt.domains[UUID].state) == ("vm_busy", state)

    def test_of_a_vm_that_was_migrated_meanwhile_is_an_error_so_that_it_does_not_run_twice(self) -> None:
        libvirt = libvirt_with("running")

        def migrate(domain: FakeDomain) -> None:
            domain.state, domain.reason = "shutoff", "migrated"

        libvirt.on_shutdown = migrate
        with pytest.raises(VmError, match="migrated to another hypervisor") as caught:
            power.Stop(graceful=True).do(context_with(libvirt, state="running"))
        assert caught.value.code == "vm_busy"

    def test_ends_a_vm_whose_qemu_hangs_so_that_its_jobs_are_unknown(self) -> None:
        libvirt = libvirt_with("running")
        libvirt.job_error = VmError("qemu_hangs", "no")
        power.Stop(graceful=True).do(context_with(libvirt, state="running"))
        assert libvirt.domains[UUID].state == "shutoff"

    @pytest.mark.parametrize(("before", "after"), [("paused", "paused"), ("running", "running")])
    def test_of_a_vm_that_was_created_paused_is_undone_by_a_start_to_its_old_state(
        self, before: str, after: str
    ) -> None:
        libvirt = libvirt_with(before)
        context = context_with(libvirt, state=before)
        context.vm = parsed_vm(create_paused=True)
        outcome = power.Stop(graceful=False).do(context)
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.domains[UUID].state == after

    def test_during_which_libvirt_is_lost_may_have_succeeded(self) -> None:
        libvirt = fails(libvirt_with("running"), LOST)
        context = context_with(libvirt, state="running")
        context.is_off = Answers(LOST, True)  # type: ignore[method-assign]
        power.Stop(graceful=True).do(context)
        assert names(libvirt) == ["shutdown"]


class TestAVmThatShutsDown:
    def test_is_waited_for(self) -> None:
        assert power.WaitUntilOff().do(context_with(libvirt_with())) == Outcome()

    def test_but_does_not_in_time_is_an_error(self) -> None:
        with pytest.raises(VmError) as caught:
            power.WaitUntilOff().do(context_with(libvirt_with("shutdown", "user")))
        assert caught.value.code == "shutdown_timeout"
        assert "still shutdown (user) after 1 seconds" in caught.value.message


class TestAPausedVm:
    def test_is_resumed(self) -> None:
        libvirt = libvirt_with("paused", "user")
        assert power.Resume().do(context_with(libvirt, state="paused", reason="user")) == Outcome()
        assert names(libvirt) == ["resume"]

    def test_is_watched_for_a_moment_where_a_request_to_its_disk_had_failed(self) -> None:
        context = context_with(libvirt_with("paused", "ioerror"), state="paused", reason="ioerror")
        context.look = Answers(("running", "unpaused"), ("paused", "ioerror"))  # type: ignore[method-assign]
        with pytest.raises(VmError, match="ioerror"):
            power.Resume().do(context)

    def test_that_pauses_again_is_an_error(self) -> None:
        libvirt = libvirt_with("paused", "ioerror")
        libvirt.resume = lambda uuid: None  # type: ignore[method-assign]
        with pytest.raises(VmError) as caught:
            power.Resume().do(context_with(libvirt, state="paused", reason="ioerror"))
        assert (caught.value.code, caught.value.message) == (
            "paused_again",
            "the VM was resumed, but is paused (ioerror) again",
        )


class TestASuspendedGuest:
    def test_is_woken_up(self) -> None:
        libvirt = libvirt_with("pmsuspended", "unknown")
        assert power.WakeUp().do(context_with(libvirt)) == Outcome()
        assert names(libvirt) == ["wake_up"]

    def test_that_sleeps_on_is_an_error_with_what_was_seen(self) -> None:
        libvirt = libvirt_with("pmsuspended", "unknown")
        libvirt.wake_up = lambda uuid: None  # type: ignore[method-assign]
        outcome = power.WakeUp().do(context_with(libvirt))
        assert failure_of(outcome).code == "start_timeout"
        assert outcome.diagnostics is not None


@pytest.mark.parametrize(
    ("create_paused", "state", "reason", "up"),
    [
        (False, "running", "booted", True),
        (True, "running", "booted", True),
        (True, "paused", "user", True),
        (True, "paused", "unknown", True),
        (True, "paused", "migration", True),
        (False, "paused", "migration", False),
        (True, "paused", "ioerror", False),
        (False, "paused", "user", False),
        (True, "shutoff", "user", False),
    ],
)
def test_a_vm_is_up_where_it_runs_or_is_paused_on_purpose(
    create_paused: bool, state: str, reason: str, up: bool
) -> None:
    assert power.is_up(parsed_vm(create_paused=create_paused), state, reason) is up


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (power.Start, "start"),
        (power.Restore, "restore"),
        (power.Stop, "stop"),
        (power.WaitUntilOff, "wait_until_off"),
        (power.Resume, "resume"),
        (power.WakeUp, "wake_up"),
        (power.DiscardSavedState, "discard_saved_state"),
    ],
)
def test_results_name_them(action: type[Action], name: str) -> None:
    assert action.name == name


def test_no_process_of_a_remote_hypervisor_is_killed() -> None:
    libvirt = libvirt_with(create=VmError("qemu_hangs", "no"))
    outcome = power.Start().do(context_of(libvirt, RemoteFakeSystem()))
    assert failure_of(outcome).code == "start_timeout"
    assert names(libvirt) == ["create", "destroy"]
