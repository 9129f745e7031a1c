# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs of a task are started independently: each is observed, checked, changed, and has its own result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions import oom_score
from ansible_collections.zstack.kvm.plugins.module_utils._actions.power import Restore
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage import preparation, seeds
from ansible_collections.zstack.kvm.plugins.module_utils._start import created_volumes, memory_snapshot
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import VmResult
from ansible_collections.zstack.kvm.plugins.module_utils._start.run_context import StartRequest
from ansible_collections.zstack.kvm.plugins.module_utils._start.start import start_vms
from ansible_collections.zstack.kvm.plugins.module_utils._start.volume_work import VolumeWork
from ansible_collections.zstack.kvm.plugins.module_utils._storage.seed import seed_path
from ansible_collections.zstack.kvm.tests.unit.fakes import (
    UUID,
    FakeDomain,
    FakeHypervisor,
    RemoteFakeSystem,
    parsed_vms,
)

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
# libvirt itself completes the definition of a console.
OPTIONS = {"domain_type": "qemu", "machine": "pc", "console_mode": "none"}
PATHS = {UUID: "/root.qcow2", OTHER: "/other.qcow2"}


def run(
    libvirt: FakeHypervisor,
    *vms: dict[str, Any],
    system: Optional[RemoteFakeSystem] = None,
    check_mode: bool = False,
    secrets: frozenset[str] = frozenset(),
    cancelled: bool = False,
    diff: bool = False,
    **policy: Any,
) -> list[VmResult]:
    """Start VMs with these options, one after another."""
    descriptions = []
    for options in vms or ({},):
        root = {"install_path": PATHS[options.get("uuid", UUID)], "format": "qcow2"}
        descriptions.append({**OPTIONS, "root_volume": root, **options})
    event = threading.Event()
    if cancelled:
        event.set()
    request = StartRequest(Policy(**policy), check_mode, 1, secrets, event, diff)
    return start_vms(libvirt, system or RemoteFakeSystem(), parsed_vms(*descriptions), request)


def names(libvirt: FakeHypervisor) -> list[str]:
    return [call[0] for call in libvirt.changes]


def code_of(result: VmResult) -> Optional[str]:
    return None if result.failure is None else result.failure.error.code


def with_running_vm(**options: Any) -> FakeHypervisor:
    """Return a libvirt with the VM, which was started with these options."""
    libvirt = FakeHypervisor()
    (result,) = run(libvirt, options)
    assert result.failure is None
    libvirt.calls.clear()
    return libvirt


class Locks(RemoteFakeSystem):
    """A system that records the locks."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: list[tuple[str, float]] = []

    def lock(self, name: str) -> Any:
        def acquire(seconds: float, cancelled: threading.Event) -> AbstractContextManager[None]:
            self.locked.append((name, seconds))
            return nullcontext()

        return SimpleNamespace(acquire=acquire)


def lacking(*problems: Problem) -> Callable[..., list[Problem]]:
    """Return a check of the storage that finds these problems."""
    return lambda vms, system, hypervisor: list(problems)


class TestANewVm:
    def test_is_defined_and_started(self) -> None:
        libvirt = FakeHypervisor()
        (result,) = run(libvirt)
        assert (result.actions, result.state, result.changed) == (["define", "start"], "running", True)
        assert names(libvirt) == ["define", "create"]

    def test_is_left_alone_by_a_second_run(self) -> None:
        libvirt = with_running_vm()
        (result,) = run(libvirt)
        assert (result.state, result.changed, result.failure) == ("running", False, None)
        assert libvirt.changes == []

    def test_that_does_not_start_is_undefined(self) -> None:
        libvirt = FakeHypervisor()
        libvirt.errors["create"] = VmError("qemu_failed", "no")
        (result,) = run(libvirt)
        assert result.failure is not None
        assert (result.failure.phase, result.failure.rollback, result.changed) == ("start", "done", False)
        assert libvirt.domains == {}

    def test_has_a_diff_only_by_request(self) -> None:
        (shown,), (hidden,) = run(FakeHypervisor(), diff=True), run(FakeHypervisor())
        assert (shown.before, shown.after[:22]) == ("state: absent\n", "state: running\n<domain")
        assert (hidden.before, hidden.after) == ("", "")

    def test_that_is_left_alone_has_the_same_before_and_after(self) -> None:
        (result,) = run(with_running_vm(), diff=True)
        assert result.before == result.after != ""

    def test_is_locked_while_it_is_changed(self) -> None:
        system = Locks()
        run(FakeHypervisor(), {"timeout": 7}, system=system)
        assert system.locked == [(UUID, 7)]


def test_a_task_that_is_interrupted_while_it_waits_for_another_starts_nothing() -> None:
    libvirt, system = FakeHypervisor(), RemoteFakeSystem()
    system.when_locked = lambda cancelled: cancelled.set()
    (result,) = run(libvirt, system=system)
    assert (code_of(result), libvirt.changes) == ("interrupted", [])


class TestCheckMode:
    def test_predicts_the_actions_and_changes_nothing(self) -> None:
        libvirt, system = FakeHypervisor(), Locks()
        (result,) = run(libvirt, check_mode=True, system=system)
        assert (result.actions, result.state) == (["define", "start"], "absent")
        assert (libvirt.changes, system.locked) == ([], [])

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_alone_asks_for_no_state_of_a_vm_that_was_off_at_the_beginning(self, check_mode: bool) -> None:
        libvirt = with_running_vm()
        libvirt.destroy(UUID)
        libvirt.calls.clear()
        (result,) = run(libvirt, check_mode=check_mode)
        asked = [call[0] for call in libvirt.calls].count("state")
        assert (result.actions, asked > 0) == (["start"], not check_mode)

    def test_has_libvirt_check_the_definition(self) -> None:
        libvirt = FakeHypervisor()
        libvirt.errors["check_definition"] = VmError("invalid_domain", "no")
        (result,) = run(libvirt, check_mode=True)
        assert result.failure is not None
        assert (result.failure.error.code, result.failure.phase) == ("invalid_domain", "define")

    def test_warns_about_what_an_earlier_task_may_have_created(self, monkeypatch: pytest.MonkeyPatch) -> None:
        missing = Problem("vms[0].root_volume.install_path", "does not exist", "image_missing")
        monkeypatch.setattr(preparation, "preflight", lacking(missing))
        (result,) = run(FakeHypervisor(), check_mode=True)
        assert (result.actions, result.failure) == (["define", "start"], None)
        assert str(missing) in result.warnings

    def test_fails_where_rights_are_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        denied = Problem("vms[0].root_volume.install_path", "this user may not", "needs_root")
        monkeypatch.setattr(preparation, "preflight", lacking(denied))
        (result,) = run(FakeHypervisor(), check_mode=True)
        assert code_of(result) == "needs_root"


def test_with_any_problem_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [Problem("vms[0].root_volume", each, "image_missing") for each in ("first", "second")]
    monkeypatch.setattr(preparation, "preflight", lacking(*missing))
    libvirt = FakeHypervisor()
    (result,) = run(libvirt)
    assert result.failure is not None
    assert (result.failure.error.code, result.failure.phase, libvirt.changes) == ("image_missing", "preflight", [])
    assert "first; vms[0].root_volume: second" in result.failure.error.message


class TestARunningVmThatDiffers:
    """It has one CPU, and gets two."""

    def start(self, libvirt: FakeHypervisor, **policy: Any) -> VmResult:
        (result,) = run(libvirt, {"cpu_num": 2}, **policy)
        return result

    def test_gets_a_new_definition_for_its_next_boot(self) -> None:
        libvirt = with_running_vm()
        result = self.start(libvirt)
        assert (result.actions, result.restart_required) == (["define"], True)
        assert {each.path for each in result.differences} >= {"vcpu"}
        assert names(libvirt) == ["define"]

    def test_gets_it_with_a_warning_about_what_its_next_start_will_lack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        missing = Problem("vms[0].root_volume.install_path", "does not exist", "image_missing")
        libvirt = with_running_vm()
        monkeypatch.setattr(preparation, "preflight", lacking(missing))
        result = self.start(libvirt)
        assert (result.actions, result.failure) == (["define"], None)
        assert f"the VM will not start again before this is corrected: {missing}" in result.warnings

    def test_is_restarted_by_request(self) -> None:
        libvirt = with_running_vm()
        libvirt.on_shutdown = lambda domain: setattr(domain, "state", "shutoff")
        result = self.start(libvirt, on_drift="restart")
        assert (result.actions, result.restart_required) == (["define", "stop", "start"], False)

    def test_fails_by_request(self) -> None:
        libvirt = with_running_vm()
        result = self.start(libvirt, on_drift="fail")
        assert (code_of(result), libvirt.changes) == ("drift", [])
        assert result.differences

    def test_needs_a_restart_for_what_cannot_be_changed_live(self) -> None:
        result = self.start(with_running_vm(), on_drift="live")
        assert (result.actions, result.restart_required) == (["define"], True)

    def test_is_left_alone_while_a_job_runs_on_it(self) -> None:
        libvirt = with_running_vm()
        libvirt.job = True
        assert (code_of(self.start(libvirt)), libvirt.changes) == ("vm_busy", [])

    def test_is_left_alone_while_a_disk_of_it_is_copied(self) -> None:
        libvirt = with_running_vm()
        libvirt.block_jobs = {"vda"}
        libvirt.on_shutdown = lambda domain: setattr(domain, "state", "shutoff")
        assert (code_of(self.start(libvirt, on_drift="restart")), libvirt.changes) == ("vm_busy", [])


class TestWarnings:
    """Of each part of a plan."""

    def test_of_what_the_host_does_otherwise(self) -> None:
        (result,) = run(FakeHypervisor(), {"machine": None, "arch": "aarch64", "kvm_hidden_state": True})
        assert any("kvm_hidden_state has no effect" in each for each in result.warnings)

    def test_of_an_image_that_is_unrelated_to_the_one_before(self) -> None:
        (result,) = run(with_running_vm(), {"root_volume": {"install_path": "/another.qcow2", "format": "qcow2"}})
        assert result.warnings[0].startswith("the disk vda changes from /root.qcow2 to /another.qcow2")

    def test_of_a_board_that_changes(self) -> None:
        (result,) = run(with_running_vm(), {"machine": "q35"})
        assert any("the guest gets new hardware" in each for each in result.warnings)

    def test_of_memory_that_is_short(self) -> None:
        libvirt = FakeHypervisor()
        libvirt.free = 0
        (result,) = run(libvirt)
        assert result.warnings == ["the hypervisor has 0 MiB of memory free, and the VM needs 1024 MiB"]

    def test_of_a_vm_that_comes_back_as_it_was_saved(self) -> None:
        libvirt = with_running_vm()
        libvirt.domains[UUID].state, libvirt.domains[UUID].saved = "shutoff", True
        (result,) = run(libvirt, {"cpu_num": 2})
        assert result.warnings[0].startswith("the VM is suspended to disk")

    def test_of_a_machine_type_that_the_next_start_will_lack(self) -> None:
        libvirt = with_running_vm()
        domain = libvirt.domains[UUID]
        domain.definition = domain.live = domain.definition.replace('machine="pc"', 'machine="pc-i440fx-2.0"')
        (result,) = run(libvirt)
        assert (result.failure, len(result.warnings)) == (None, 1)
        assert "pc-i440fx-2.0" in result.warnings[0]


def test_a_machine_type_that_is_missing_is_a_problem_of_a_start() -> None:
    libvirt = with_running_vm()
    domain = libvirt.domains[UUID]
    domain.definition = domain.definition.replace('machine="pc"', 'machine="pc-i440fx-2.0"')
    domain.state = "shutoff"
    (result,) = run(libvirt)
    assert (code_of(result), libvirt.changes) == ("unsupported_machine", [])


def test_the_console_of_a_vm_that_ran_before_is_in_the_result() -> None:
    libvirt = with_running_vm()
    domain = libvirt.domains[UUID]
    domain.live = domain.live.replace("<devices>", "<devices><graphics type='vnc' port='5900' listen='10.0.0.1'/>")
    (result,) = run(libvirt)
    assert result.console == {"type": "vnc", "host": "10.0.0.1", "port": 5900}


def test_overlays_are_kept_and_in_the_result() -> None:
    libvirt = with_running_vm()
    domain = libvirt.domains[UUID]
    below = '<source file="/overlay"/><backingStore type="file"><source file="/root.qcow2"/></backingStore>'
    domain.definition = domain.live = domain.definition.replace('<source file="/root.qcow2"/>', below)
    (result,) = run(libvirt)
    assert (result.changed, result.overlays) == (
        False,
        [{"target": "vda", "image": "/overlay", "overlay_of": "/root.qcow2"}],
    )


def test_what_a_vm_needs_is_prepared_between_its_definition_and_its_start() -> None:
    secret = {"uuid": "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab", "key": "AAAA"}
    (result,) = run(FakeHypervisor(), {"ceph_secret": secret}, check_mode=True)
    assert result.actions == ["define", "define_secret", "start"]


def test_a_vm_with_a_memory_snapshot_is_restored_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Problem("vms[0].memory_snapshot", "no such file", "memory_snapshot_failed")
    planned = memory_snapshot.PlannedRestore(Restore("/memory", "<domain/>"), [missing])
    monkeypatch.setattr(memory_snapshot, "plan_restore", lambda *arguments: planned)
    (result,) = run(FakeHypervisor(), {"memory_snapshot": "/memory"}, check_mode=True)
    assert result.actions == ["define", "restore"]
    assert str(missing) in result.warnings


def test_the_work_on_volumes_is_part_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    work = VolumeWork(warnings=["larger"], problems=[Problem("vms[0]", "no space", "disk_full")])
    monkeypatch.setattr(created_volumes, "volume_work", lambda *arguments: work)
    root = {"install_path": "/root.qcow2", "format": "qcow2", "create": {"size": "1GiB"}}
    (result,) = run(FakeHypervisor(), {"root_volume": root}, check_mode=True)
    assert sorted(result.warnings) == ["larger", "vms[0]: no space"]


def test_a_running_vm_is_changed_live_by_request() -> None:
    (result,) = run(with_running_vm(), {"name": "new"}, on_drift="live")
    assert (result.actions, result.restart_required) == (["define", "set_description"], False)


def test_a_transient_vm_differs_in_that_alone() -> None:
    libvirt = with_running_vm()
    domain = libvirt.domains[UUID]
    domain.persistent = False
    domain.definition = domain.definition.replace("<description>vm<", "<description>as libvirt has it<")
    (result,) = run(libvirt)
    assert (result.actions, [each.path for each in result.differences]) == (["define"], ["persistent"])


def test_what_libvirt_rewrites_of_a_patch_is_recorded_before_the_start() -> None:
    class Rewriting(FakeHypervisor):
        def define(self, xml: str, validate: bool = True) -> None:
            super().define(xml.replace("<title>patched<", "<title>rewritten<"), validate)

    libvirt = Rewriting()
    patch = {"action": "add", "xpath": "/domain", "value": "<title>patched</title>"}
    (result,) = run(libvirt, {"domain_patches": [patch]})
    assert result.failure is None
    assert names(libvirt) == ["define", "set_defined_metadata", "create"]


def test_secret_patches_are_not_in_the_diff() -> None:
    patch = {"action": "add", "xpath": "/domain", "value": "<title>Sekret</title>", "no_log": True}
    (result,) = run(FakeHypervisor(), {"domain_patches": [patch]}, check_mode=True, diff=True)
    assert result.failure is None
    assert ("<domain" in result.after, "Sekret" in result.after) == (True, False)


def test_the_oom_score_of_a_running_vm_is_drift_too(monkeypatch: pytest.MonkeyPatch) -> None:
    libvirt = with_running_vm()
    monkeypatch.setattr(oom_score, "oom_score", lambda vm, system: 300)
    (result,) = run(libvirt, {"oom_score_adj": 100}, check_mode=True, on_drift="live")
    assert result.actions == ["set_oom_score"]
    assert [(each.path, each.before, each.after) for each in result.differences] == [("oom_score_adj", "300", "100")]


@pytest.mark.parametrize(
    ("on_drift", "actions", "restart_required"),
    [("restart", ["set_oom_score"], False), ("next_boot", [], True), ("ignore", [], True)],
)
def test_the_oom_score_alone_restarts_no_vm(
    monkeypatch: pytest.MonkeyPatch, on_drift: str, actions: list[str], restart_required: bool
) -> None:
    libvirt = with_running_vm()
    monkeypatch.setattr(oom_score, "oom_score", lambda vm, system: 300)
    (result,) = run(libvirt, {"oom_score_adj": 100}, check_mode=True, on_drift=on_drift)
    assert (result.actions, result.restart_required) == (actions, restart_required)
    assert [each.path for each in result.differences] == ["oom_score_adj"]


@pytest.mark.parametrize("options", [{"oom_score_adj": 300}, {}])
def test_an_oom_score_as_desired_or_without_an_option_is_no_drift(
    options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oom_score, "oom_score", lambda vm, system: 300)
    (result,) = run(with_running_vm(), options, check_mode=True, on_drift="live")
    assert (list(result.actions), list(result.differences)) == ([], [])


def test_the_seed_is_written_before_the_definition_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = seeds.Seed({"user-data": ""}, seed_path(UUID.replace("-", ""), 1), is_current=False)
    monkeypatch.setattr(seeds, "seed_of", lambda vm, existing, live, system: seed)
    monkeypatch.setattr(seeds, "seed_problems", lambda vm, system: [Problem("vms[0]", "no xorriso", "command_missing")])
    options = {"cloud_init": {"user_data": "#cloud-config"}}
    (result,) = run(FakeHypervisor(), options, check_mode=True, diff=True)
    assert (seed.path in result.after, result.warnings) == (True, ["vms[0]: no xorriso"])
    assert result.actions == ["write_cloud_init_seed", "define", "start"]


class TestSeveralVms:
    TWO: tuple[dict[str, Any], ...] = ({}, {"uuid": OTHER, "name": "other"})

    def test_have_their_results_in_their_order_and_fail_alone(self) -> None:
        libvirt = FakeHypervisor()
        libvirt.errors["create"] = VmError("qemu_failed", "no")
        first, second = run(libvirt, *self.TWO)
        assert ((first.uuid, code_of(first)), (second.uuid, code_of(second))) == ((UUID, "qemu_failed"), (OTHER, None))

    def test_of_a_later_start_order_wait_for_those_before(self) -> None:
        libvirt = FakeHypervisor()
        libvirt.errors["create"] = VmError("qemu_failed", "no")
        first, second = run(libvirt, {"start_order": 2}, {**self.TWO[1], "start_order": 1})
        assert (code_of(first), code_of(second)) == ("earlier_vm_failed", "qemu_failed")
        assert first.failure is not None and OTHER in first.failure.error.message

    def test_all_fail_if_libvirt_cannot_be_queried(self) -> None:
        class Lost(FakeHypervisor):
            def list_domains(self) -> Any:
                raise VmError("connection_lost", "gone")

        results = run(Lost(), *self.TWO)
        assert [(code_of(each), each.failure and each.failure.phase) for each in results] == 2 * [
            ("connection_lost", "look")
        ]


def test_an_interrupted_task_starts_nothing() -> None:
    libvirt = FakeHypervisor()
    (result,) = run(libvirt, cancelled=True)
    assert (code_of(result), libvirt.changes) == ("interrupted", [])


def test_a_bug_fails_the_vm_alone() -> None:
    class Broken(FakeHypervisor):
        def state(self, uuid: str) -> tuple[str, str]:
            raise KeyError("bug")

    libvirt = Broken({UUID: FakeDomain("shutoff", name=UUID.replace("-", ""))})
    (result,) = run(libvirt)
    assert result.failure is not None
    assert (result.failure.error.code, result.failure.error.message) == ("internal_error", "KeyError: 'bug'")


def test_secrets_are_in_no_error() -> None:
    libvirt = FakeHypervisor()
    libvirt.errors["create"] = VmError("qemu_failed", "the password hunter2 is wrong")
    (result,) = run(libvirt, secrets=frozenset({"hunter2"}))
    assert result.failure is not None
    assert "hunter2" not in result.failure.error.message


@pytest.mark.parametrize(
    ("name", "uuid", "code"),
    [(UUID.replace("-", ""), OTHER, "name_taken"), ("another", UUID, "uuid_taken")],
)
def test_the_domain_of_somebody_else_is_not_changed(name: str, uuid: str, code: str) -> None:
    libvirt = FakeHypervisor({uuid: FakeDomain("shutoff", name=name)})
    (result,) = run(libvirt)
    assert (code_of(result), libvirt.changes) == (code, [])
