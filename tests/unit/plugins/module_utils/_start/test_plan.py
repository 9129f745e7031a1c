# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a VM: the complete table of states and policies."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.definition import (
    BackUpDefinition,
    CreateChannelDirectory,
)
from ansible_collections.zstack.kvm.plugins.module_utils._actions.live import AttachVolume, SetVcpus
from ansible_collections.zstack.kvm.plugins.module_utils._actions.power import Restore, Stop
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import (
    Drift,
    Plan,
    Policy,
    check_drift,
    check_state,
    is_to_be_started,
    plan_vm,
    steps,
    touched_disks,
    will_attach,
    will_start,
    without_restoring,
)
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
NAME = UUID.replace("-", "")
CHANGED = Difference("vcpu", "1", "2")
PREPARATION = CreateChannelDirectory("/run/channels")
LIVE = SetVcpus(4, before=2)
ATTACH = AttachVolume("<disk/>", "devices/disk", "volume vdb")
NO_DRIFT = Drift()
NEXT_BOOT = Policy()
ACTIVE_STATES = ("running", "blocked", "paused", "pmsuspended")


def vm(**options: Any) -> Vm:
    """Return the VM of these tests."""
    return parsed_vm(**{"uuid": UUID, "name": "web", "cpu_num": 2, **options})


def observed(state: str, reason: str = "unknown", **facts: Any) -> ObservedVm:
    """Return the VM as it is usually observed in a state."""
    if state == "absent":
        return ObservedVm(**facts)
    usual = ObservedVm(state=state, reason=reason, name=NAME, persistent=True, inactive_xml="<old/>")
    return dataclasses.replace(usual, **facts)


def plan(seen: ObservedVm, drift: Drift = NO_DRIFT, policy: Policy = NEXT_BOOT, **options: Any) -> Plan:
    """Return the plan, with everything that is done as its changes; a start needs some preparation."""
    desired = vm(**options)
    check_state(desired, seen, policy)
    preparations = [PREPARATION] if will_start(seen, drift, policy) or will_attach(drift, policy) else []
    made = plan_vm(desired, seen, drift, policy, "<new/>")
    check_drift(seen, made.differences, policy)
    return made._replace(definition=(), changes=tuple(steps(made, lambda: preparations)))


def names(made: Plan) -> list[str]:
    """Return the actions of a plan."""
    return [action.name for action in made.actions]


def both(*differences: Difference) -> Drift:
    """Return the same differences in the definition and in the running VM."""
    return Drift(defined=differences, running=differences)


class TestStatesWithoutDrift:
    @pytest.mark.parametrize(
        "state, reason, expected",
        [
            ("shutoff", "destroyed", ["create_channel_dir", "start"]),
            ("shutoff", "crashed", ["create_channel_dir", "start"]),
            ("running", "booted", []),
            ("blocked", "unknown", []),
            ("paused", "user", ["resume"]),
            ("paused", "ioerror", ["resume"]),
            ("paused", "watchdog", ["resume"]),
            ("paused", "from_snapshot", ["resume"]),
            ("paused", "unknown", ["resume"]),
            ("paused", "shutting_down", ["create_channel_dir", "wait_until_off", "start"]),
            ("shutdown", "user", ["create_channel_dir", "wait_until_off", "start"]),
            ("pmsuspended", "unknown", ["wake_up"]),
        ],
    )
    def test_lead_to(self, state: str, reason: str, expected: list[str]) -> None:
        assert names(plan(observed(state, reason))) == expected

    def test_absent_it_is_defined_first_then_prepared_then_started(self) -> None:
        assert names(plan(observed("absent"))) == ["define", "create_channel_dir", "start"]

    @pytest.mark.parametrize(
        "reason", ["migration", "save", "dump", "snapshot", "starting_up", "postcopy", "postcopy_failed"]
    )
    def test_paused_by_a_job_it_is_busy(self, reason: str) -> None:
        with pytest.raises(VmError) as caught:
            plan(observed("paused", reason))
        assert caught.value.code == "vm_busy"

    @pytest.mark.parametrize(
        ("create_paused", "persistent", "reason"),
        [(True, True, "user"), (True, False, "migration"), (False, True, "migration")],
    )
    def test_restored_paused_it_is_paused_on_purpose(self, create_paused: bool, persistent: bool, reason: str) -> None:
        seen = dataclasses.replace(observed("paused", "migration"), persistent=persistent)
        assert without_restoring(vm(create_paused=create_paused), seen).reason == reason

    def test_in_a_state_that_libvirt_has_no_word_for_it_is_busy(self) -> None:
        with pytest.raises(VmError) as caught:
            plan(observed("unknown"))
        assert caught.value.code == "vm_busy"

    @pytest.mark.parametrize("state, reason", [("crashed", "panicked"), ("paused", "crashed")])
    @pytest.mark.parametrize("on_drift", ["next_boot", "live", "fail", "ignore"])
    def test_crashed_it_is_an_error(self, state: str, reason: str, on_drift: str) -> None:
        with pytest.raises(VmError) as caught:
            plan(observed(state, reason), policy=Policy(on_drift))
        assert caught.value.code == "vm_crashed"

    @pytest.mark.parametrize("state, reason", [("crashed", "panicked"), ("paused", "crashed")])
    def test_crashed_it_is_forced_off_for_a_restart(self, state: str, reason: str) -> None:
        made = plan(observed(state, reason), policy=Policy("restart"))
        assert names(made) == ["create_channel_dir", "stop", "start"]
        assert made.actions[1] == Stop(graceful=False)


class TestNames:
    def test_a_name_that_another_domain_has(self) -> None:
        with pytest.raises(VmError) as caught:
            plan(observed("absent", name_holder="0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02"))
        assert caught.value.code == "name_taken"
        assert "0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02" in caught.value.message

    def test_a_uuid_under_another_name(self) -> None:
        with pytest.raises(VmError) as caught:
            plan(observed("shutoff", name="by-hand"))
        assert (caught.value.code, "by-hand" in caught.value.message) == ("uuid_taken", True)


class TestDrift:
    def test_of_a_vm_that_is_off_is_defined_whatever_the_policy(self) -> None:
        for on_drift in ("next_boot", "live", "restart", "fail", "ignore"):
            made = plan(observed("shutoff"), Drift(defined=(CHANGED,)), Policy(on_drift))
            assert (names(made), made.restart_required) == (["define", "create_channel_dir", "start"], False)

    @pytest.mark.parametrize("state", ACTIVE_STATES)
    def test_is_defined_for_the_next_boot(self, state: str) -> None:
        made = plan(observed(state), both(CHANGED))
        assert names(made)[0] == "define"
        assert "start" not in names(made)
        assert made.restart_required

    def test_of_what_runs_alone_leaves_the_definition_alone_and_still_wants_a_restart(self) -> None:
        made = plan(observed("running"), Drift(running=(CHANGED,)))
        assert (names(made), made.restart_required, made.differences) == ([], True, (CHANGED,))

    def test_of_the_definition_alone_wants_no_restart(self) -> None:
        made = plan(observed("running"), Drift(defined=(CHANGED,)), Policy("restart"))
        assert (names(made), made.restart_required) == (["define"], False)

    def test_that_both_have_is_one_difference(self) -> None:
        assert plan(observed("running"), both(CHANGED)).differences == (CHANGED,)

    @pytest.mark.parametrize("state", ACTIVE_STATES)
    def test_fails_when_it_is_to_fail_and_names_what_differs(self, state: str) -> None:
        with pytest.raises(VmError) as caught:
            plan(observed(state), both(CHANGED), Policy("fail"))
        assert (caught.value.code, "vcpu" in caught.value.message) == ("drift", True)

    @pytest.mark.parametrize("state, expected", [("running", []), ("paused", ["resume"]), ("pmsuspended", ["wake_up"])])
    def test_ignored_is_shown_and_nothing_is_done_about_it(self, state: str, expected: list[str]) -> None:
        made = plan(observed(state), both(CHANGED), Policy("ignore"), autostart=True)
        assert (names(made), made.restart_required) == (expected, True)
        assert CHANGED in made.differences

    def test_that_was_created_paused_is_not_resumed_for_a_restart(self) -> None:
        made = plan(observed("paused", "user"), both(CHANGED), Policy("restart"), create_paused=True)
        assert [action.graceful for action in made.changes if isinstance(action, Stop)] == [False]

    @pytest.mark.parametrize("state", ACTIVE_STATES)
    def test_restarts_after_everything_that_can_be_undone(self, state: str) -> None:
        made = plan(observed(state), both(CHANGED), Policy("restart"))
        assert names(made) == ["define", "create_channel_dir", "stop", "start"]
        assert made.actions[2] == Stop(graceful=True)
        assert not made.restart_required

    def test_live_is_defined_too_and_leaves_the_rest_for_the_next_boot(self) -> None:
        drift = both(CHANGED)._replace(live_actions=(LIVE,), live_remaining=(CHANGED,))
        made = plan(observed("running"), drift, Policy("live"))
        assert (names(made), made.restart_required) == (["define", "set_vcpus"], True)

    def test_live_that_is_all_applied_wants_no_restart(self) -> None:
        made = plan(observed("running"), both(CHANGED)._replace(live_actions=(LIVE,)), Policy("live"))
        assert (names(made), made.restart_required) == (["define", "set_vcpus"], False)

    def test_live_prepares_what_is_plugged_in(self) -> None:
        made = plan(observed("running"), both(CHANGED)._replace(live_actions=(ATTACH,)), Policy("live"))
        assert names(made) == ["define", "create_channel_dir", "attach_volume"]

    def test_live_is_for_that_policy_alone(self) -> None:
        drift = both(CHANGED)._replace(live_actions=(ATTACH,))
        for on_drift in ("next_boot", "restart", "ignore"):
            assert "attach_volume" not in names(plan(observed("running"), drift, Policy(on_drift)))


class TestSuspendedToDisk:
    def test_in_sync_it_is_started(self) -> None:
        made = plan(observed("shutoff", saved=True))
        assert (names(made), made.restart_required, made.warnings) == (["create_channel_dir", "start"], False, ())

    def test_not_in_sync_it_comes_back_as_it_was(self) -> None:
        made = plan(observed("shutoff", saved=True), Drift(defined=(CHANGED,)))
        assert (names(made), made.restart_required) == (["define", "create_channel_dir", "start"], True)
        assert "suspended to disk" in made.warnings[0]

    def test_its_memory_is_discarded_right_before_the_start(self) -> None:
        made = plan(observed("shutoff", saved=True), Drift(defined=(CHANGED,)), Policy(saved_state="discard"))
        assert names(made) == ["define", "create_channel_dir", "discard_saved_state", "start"]
        assert (made.restart_required, made.warnings) == (False, ())

    @pytest.mark.parametrize("state", ["absent", "shutoff"])
    def test_without_saved_memory_nothing_is_discarded(self, state: str) -> None:
        assert "discard_saved_state" not in names(plan(observed(state), policy=Policy(saved_state="discard")))


class TestStartedPaused:
    def test_it_stays_paused(self) -> None:
        assert names(plan(observed("paused", "user"), create_paused=True)) == []

    def test_after_an_io_error_it_is_resumed(self) -> None:
        assert names(plan(observed("paused", "ioerror"), create_paused=True)) == ["resume"]

    def test_otherwise_a_paused_vm_is_resumed(self) -> None:
        assert names(plan(observed("paused", "user"))) == ["resume"]


class TestMemorySnapshot:
    RESTORE = Restore("/snapshots/memory", "<saved/>")

    def restored(self, seen: ObservedVm) -> list[str]:
        return [
            action.name for action in plan_vm(vm(), seen, NO_DRIFT, NEXT_BOOT, "<new/>", start=self.RESTORE).actions
        ]

    def test_replaces_the_boot(self) -> None:
        assert self.restored(observed("shutoff")) == ["restore"]
        assert self.restored(observed("absent")) == ["define", "restore"]
        assert self.restored(observed("shutdown")) == ["wait_until_off", "restore"]

    @pytest.mark.parametrize("state", ["absent", "shutoff", "shutdown"])
    def test_is_for_vms_that_are_or_will_be_off(self, state: str) -> None:
        assert is_to_be_started(observed(state))
        assert not is_to_be_started(observed("running"))

    def test_replaces_memory_that_is_saved_elsewhere(self) -> None:
        assert self.restored(observed("shutoff", saved=True)) == ["discard_saved_state", "restore"]


class TestDisksThatAPlanTouches:
    LIMITED = Difference("devices/disk[target=vdb]/iotune/total_iops_sec", "1", "2")

    def test_are_those_that_differ(self) -> None:
        drift = Drift(defined=(CHANGED, self.LIMITED), running=(CHANGED,))
        assert touched_disks(plan(observed("running"), drift)) == {"vdb"}

    def test_are_none_where_nothing_is_done(self) -> None:
        assert touched_disks(plan(observed("running"), Drift(defined=(self.LIMITED,)), Policy("ignore"))) == set()

    def test_are_all_of_a_vm_that_is_restarted(self) -> None:
        assert touched_disks(plan(observed("running"), Drift(running=(CHANGED,)), Policy("restart"))) is None


class TestTransient:
    def test_becomes_persistent(self) -> None:
        made = plan(observed("running", persistent=False))
        assert names(made) == ["define"]
        assert made.differences == (Difference("persistent", "false", "true"),)

    def test_counts_as_drift(self) -> None:
        assert names(plan(observed("running", persistent=False), policy=Policy("ignore"))) == []
        with pytest.raises(VmError):
            plan(observed("running", persistent=False), policy=Policy("fail"))


class TestAutostart:
    @pytest.mark.parametrize(
        "is_set, desired, expected",
        [(False, True, ["set_autostart"]), (True, False, ["set_autostart"]), (True, True, []), (False, False, [])],
    )
    def test_is_set_where_it_differs(self, is_set: bool, desired: bool, expected: list[str]) -> None:
        assert names(plan(observed("running", autostart=is_set), autostart=desired)) == expected

    def test_of_a_new_vm_is_set_only_where_it_is_wanted(self) -> None:
        assert "set_autostart" in names(plan(observed("absent"), autostart=True))
        assert "set_autostart" not in names(plan(observed("absent"), autostart=False))

    def test_is_left_alone_where_nobody_asked(self) -> None:
        assert names(plan(observed("running"))) == []


class TestBackup:
    def test_comes_before_the_definition_that_it_keeps(self) -> None:
        made = plan(observed("running"), both(CHANGED), Policy(backup=True))
        assert names(made) == ["back_up_definition", "define"]
        assert made.actions[0] == BackUpDefinition("<old/>")

    def test_of_nothing_is_not_created(self) -> None:
        assert names(plan(observed("absent"), policy=Policy(backup=True))) == ["define", "create_channel_dir", "start"]
        assert names(plan(observed("running"), policy=Policy(backup=True))) == []
