# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions that stop a VM: a guest that does not shut down is a failure only where nothing else would end it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Removal
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import VmResult
from ansible_collections.zstack.kvm.plugins.module_utils._stop.actions import (
    ForceOff,
    RemoveChannelSocket,
    RemoveSecret,
    RemoveSeed,
    ShutDown,
    StopAction,
    StopContext,
    Undefine,
    WaitForShutdown,
)
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, FakeSecret, FakeSystem

SECRET = "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab"
PATH = "/run/vm/agent.sock"


def context_of(*domains: FakeDomain) -> StopContext:
    """Return the context of a VM that libvirt has, unless there are no domains."""
    libvirt: Any = FakeHypervisor(dict(zip([UUID], domains)), [FakeSecret(SECRET)])
    system: Any = FakeSystem()
    return StopContext(libvirt, system, [UUID], VmResult(UUID, "web"))


def libvirt(context: StopContext) -> Any:
    return context.hypervisor


def shutdown(or_force_off: bool = False, cancelled: bool = False) -> ShutDown:
    event = threading.Event()
    if cancelled:
        event.set()
    return ShutDown(1, event, or_force_off)


def raising(code: str) -> Any:
    def call(_domain: FakeDomain) -> None:
        raise VmError(code, "no")

    return call


def turn_off(domain: FakeDomain) -> None:
    domain.state = "shutoff"


@pytest.mark.parametrize(("domains", "state"), [([FakeDomain("shutoff")], "shutoff"), ([], "absent")])
def test_a_vm_without_a_qemu_is_off(domains: list[FakeDomain], state: str) -> None:
    context = context_of(*domains)
    assert (context.is_off(), context.was_off(), context.result.state) == (True, True, state)


def test_a_vm_that_runs_is_not_off() -> None:
    context = context_of(FakeDomain())
    assert (context.is_off(), context.was_off(), context.result.state) == (False, False, "running")


class TestShutDown:
    def test_a_guest_that_is_off_gets_no_request(self) -> None:
        context = context_of(FakeDomain("shutoff"))
        shutdown().do(context)
        assert context.was_off() and libvirt(context).changes == []

    def test_a_guest_that_shuts_down_is_off(self) -> None:
        context = context_of(FakeDomain())
        libvirt(context).on_shutdown = turn_off
        shutdown().do(context)
        assert context.was_off()

    @pytest.mark.parametrize("code", ["qemu_hangs", "vm_busy", "libvirt_unavailable"])
    def test_a_request_that_fails_is_a_failure(self, code: str) -> None:
        assert self.failure(code, or_force_off=False) == code

    @pytest.mark.parametrize(
        ("code", "failure"),
        [("qemu_hangs", ""), ("libvirt_error", ""), ("vm_busy", "vm_busy"), ("connection_lost", "connection_lost")],
    )
    def test_a_vm_to_be_forced_off_fails_only_by_what_forbids_that(self, code: str, failure: str) -> None:
        assert self.failure(code, or_force_off=True) == failure

    def failure(self, code: str, or_force_off: bool) -> str:
        """Return the code of the failure that follows from an error of libvirt."""
        context = context_of(FakeDomain())
        libvirt(context).on_shutdown = raising(code)
        try:
            shutdown(or_force_off).do(context)
        except VmError as error:
            return error.code
        return ""

    @pytest.mark.parametrize("or_force_off", [False, True])
    def test_an_interruption_says_that_the_guest_may_still_shut_down(self, or_force_off: bool) -> None:
        with pytest.raises(VmError, match="while the guest was shutting down") as caught:
            shutdown(or_force_off, cancelled=True).do(context_of(FakeDomain()))
        assert caught.value.code == "interrupted"


def test_a_wait_that_ends_without_success_is_no_failure() -> None:
    context = context_of(FakeDomain())
    WaitForShutdown(0, threading.Event()).do(context)
    assert not context.was_off()


def test_a_vm_is_forced_off() -> None:
    context = context_of(FakeDomain())
    ForceOff().do(context)
    assert context.is_off()


def test_a_definition_is_removed_with_what_may_go() -> None:
    context = context_of(FakeDomain("shutoff"))
    Undefine(Removal(nvram=True)).do(context)
    assert libvirt(context).undefined == [Removal(nvram=True)]


@pytest.mark.parametrize("action", [RemoveChannelSocket(PATH), RemoveSeed(PATH)])
def test_a_file_is_removed(action: StopAction) -> None:
    context = context_of(FakeDomain("shutoff"))
    action.do(context)
    system: Any = context.system
    assert system.removed == [PATH]


@pytest.mark.parametrize("remains", [False, True])
def test_a_secret_that_another_vm_needs_now_remains(remains: bool) -> None:
    context = context_of(FakeDomain("shutoff"))
    if remains:
        disk = "<disk type='network'><source><auth><secret type='ceph' uuid='%s'/></auth></source></disk>" % SECRET
        libvirt(context).domains["0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02"] = FakeDomain(defined=disk)
    RemoveSecret(SECRET).do(context)
    assert (SECRET in libvirt(context).secrets) is remains
