# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result says what the execution of a plan has done, even when it failed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.action import Action, Outcome
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import ActionContext
from ansible_collections.zstack.kvm.plugins.module_utils._actions.power import Start
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError, VmFailed
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._start import execution
from ansible_collections.zstack.kvm.plugins.module_utils._start.execution import execute
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import VmResult, of_vm
from ansible_collections.zstack.kvm.tests.unit.fakes import (
    UUID,
    FakeDomain,
    FakeHypervisor,
    RemoteFakeSystem,
    parsed_vm,
)

VNC = "<graphics type='vnc' port='5900' listen='10.0.0.1'/>"
OFF = ObservedVm(state="shutoff")
CONSOLE = {"type": "vnc", "host": "10.0.0.1", "port": 5900}
REFUSED = Outcome(failure=VmError("unsupported_device", "the NIC stays"), is_refused=True)


@dataclass(frozen=True)
class Step(Action):
    """An action that does this."""

    does: Callable[[ActionContext], Outcome]
    name = "step"

    def do(self, context: ActionContext) -> Outcome:
        return self.does(context)


def backed_up(context: ActionContext) -> Outcome:
    context.backup_file = "/backups/a.xml"
    context.warnings.append("an old file stays")
    return Outcome()


def fails(context: ActionContext) -> Outcome:
    raise VmError("disk_full", "no space")


def cannot_be_undone(context: ActionContext) -> Outcome:
    def undo() -> None:
        raise VmError("libvirt_error", "no")

    return Outcome(undo)


class Stopped(Step):
    """A step that is recorded as the stop of a restart."""

    name = "stop"

    def __init__(self) -> None:
        super().__init__(lambda context: Outcome())


def executed(
    libvirt: FakeHypervisor,
    *actions: Action,
    expect: Any = None,
    restart_required: bool = False,
    observed: ObservedVm = OFF,
) -> VmResult:
    """Return the result of a VM, off before by default; C(expect): the error that comes with it."""
    vm = parsed_vm()
    run: Any = SimpleNamespace(
        hypervisor=libvirt,
        system=RemoteFakeSystem(),
        request=SimpleNamespace(cancelled=threading.Event()),
        bridge_ports=SimpleNamespace(of=lambda live: {}),
    )
    result = of_vm(vm)
    result.warnings.append("from the plan")
    result.restart_required = restart_required
    if expect is None:
        execute(run, vm, observed, iter(actions), result)
    else:
        with pytest.raises(expect):
            execute(run, vm, observed, iter(actions), result)
    return result


def libvirt_with(state: str = "shutoff") -> FakeHypervisor:
    return FakeHypervisor({UUID: FakeDomain(state, running=VNC)})


def test_what_was_done_is_in_the_result() -> None:
    result = executed(libvirt_with(), Step(backed_up), Start())
    assert (result.actions, result.state, result.backup_file) == (["step", "start"], "running", "/backups/a.xml")


def test_warnings_of_actions_follow_those_of_the_plan() -> None:
    assert executed(libvirt_with(), Step(backed_up)).warnings == ["from the plan", "an old file stays"]


def test_a_vm_that_was_started_has_the_console_that_it_got() -> None:
    assert executed(libvirt_with(), Start()).console == CONSOLE


def test_the_addresses_that_were_waited_for_are_in_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {"vnc": [{"address": "10.0.0.5"}]}
    monkeypatch.setattr(execution, "wait_until_ready", lambda context, console: waits[console["type"]])
    assert executed(libvirt_with(), Start()).addresses == [{"address": "10.0.0.5"}]


def test_the_console_of_a_vm_that_was_not_started_is_not_read() -> None:
    libvirt = libvirt_with("running")
    assert executed(libvirt, Step(backed_up)).console is None
    assert libvirt.calls == []


def test_the_console_is_read_through_a_restart_of_libvirtd() -> None:
    libvirt = libvirt_with()
    libvirt.errors["xml"] = VmError("connection_lost", "gone")
    assert executed(libvirt, Start()).console == CONSOLE


def test_a_failure_keeps_what_is_known() -> None:
    result = executed(libvirt_with(), Step(backed_up), Step(fails), expect=VmFailed)
    assert (result.actions, result.state) == (["step"], "shutoff")
    assert result.warnings == ["from the plan", "an old file stays"]


@pytest.mark.parametrize(
    ("planned", "outcome", "required"), [(False, REFUSED, True), (True, Outcome(), True), (False, Outcome(), False)]
)
def test_a_refused_change_needs_a_restart_as_one_does_that_the_plan_left(
    planned: bool, outcome: Outcome, required: bool
) -> None:
    step = Step(lambda context: outcome)
    assert executed(libvirt_with("running"), step, restart_required=planned).restart_required is required


def test_a_state_that_nobody_has_read_is_the_observed_one() -> None:
    assert executed(libvirt_with("running"), Step(lambda context: Outcome())).state == "shutoff"


class TestAFailureOfTheChangeOfARunningVm:
    """It has what its definition has, unless a test says otherwise."""

    DOMAIN = (
        "<domain><vcpu>%d</vcpu><clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>"
        "<on_crash>destroy</on_crash><devices/></domain>"
    )

    def failed(self, *actions: Action, defined: int = 1, state: str = "running", planned: bool = True) -> VmResult:
        """Return the result of a VM that ran with one CPU, and afterwards is in this state."""
        observed = ObservedVm(
            "running", name="vm", persistent=True, inactive_xml=self.DOMAIN % defined, live_xml=self.DOMAIN % 1
        )
        return executed(libvirt_with(state), *actions, expect=VmFailed, restart_required=planned, observed=observed)

    def test_needs_no_restart_once_all_is_undone(self) -> None:
        assert not self.failed(Step(lambda context: Outcome(lambda: None)), Step(fails)).restart_required

    def test_needs_the_restart_that_it_needed_before(self) -> None:
        assert self.failed(Step(fails), defined=2).restart_required

    def test_needs_the_planned_restart_if_something_could_not_be_undone(self) -> None:
        assert self.failed(Step(cannot_be_undone), Step(fails)).restart_required

    def test_needs_no_restart_after_one(self) -> None:
        assert not self.failed(Stopped(), Step(fails), defined=2).restart_required

    def test_needs_no_restart_once_it_is_off(self) -> None:
        assert not self.failed(Step(fails), defined=2, state="shutoff").restart_required

    def test_needs_a_restart_for_a_refused_change_whose_definition_stays(self) -> None:
        refused = Step(lambda context: REFUSED)
        assert self.failed(Step(cannot_be_undone), refused, Step(fails), planned=False).restart_required
