# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that start, stop, resume or wake a VM."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._diagnostics.boot_diagnostics import BootWatch
from .._diagnostics.qemu_log import QemuLog
from .._errors.codes import ERROR_CODES
from .._errors.errors import BootDiagnostics, VmError
from .._libvirt import power_off
from .._libvirt.power_state import BUSY, power_of
from .._spec.vm import Vm
from .action import Action, Outcome, RollbackTurn, unanswered
from .oom_score import set_oom_score

if TYPE_CHECKING:
    from .context import ActionContext

_RUN_DIRECTORY = "/run/libvirt/qemu"
# libvirt's reasons of a VM that was started paused, before and after libvirtd has been restarted, or restored paused.
_PAUSED_ON_PURPOSE = ("user", "unknown", "from_snapshot", "migration")
# Errors that only say that libvirt or QEMU failed.
_UNSPECIFIC = ("libvirt_error", "qemu_failed", "invalid_domain", "unsupported_device")
_SETTLE_SECONDS = 10
_REPEAT_SECONDS = 1
_ASK_AGAIN_SECONDS = 5


@dataclass(frozen=True, repr=False)
class DiscardSavedState(Action):
    """Discard the memory that the VM was saved with, so that it boots. This can't be undone."""

    name = "discard_saved_state"

    def do(self, context: ActionContext) -> Outcome:
        outcome = unanswered(lambda: context.hypervisor.discard_saved_state(context.vm.uuid), _cannot_restore)
        if outcome.failure is None:
            context.observed = replace(context.observed, saved=False)
        return outcome


def _cannot_restore() -> None:
    raise VmError("libvirt_error", "the saved memory of the VM has been discarded, or may have been")


@dataclass(frozen=True, repr=False)
class Start(Action):
    """Boot the VM, or restore it from its saved memory, and wait until it runs."""

    name = "start"

    def do(self, context: ActionContext) -> Outcome:
        log = QemuLog(context.system, context.vm.domain_name)
        try:
            self.start(context)
        except VmError as error:
            if error.code == "qemu_hangs":
                return _give_up_start(context, log)
            if not _runs_nevertheless(context, error):
                if error.lost_libvirt and not context.observed.saved:
                    # A libvirtd that hangs or is gone does not end what it has started.
                    _kill_qemu(context)
                raise self.explained(context, log.explained(error)) from error
        return _started(context, log)

    def start(self, context: ActionContext) -> None:
        """Let libvirt start the VM."""
        vm = context.vm
        context.hypervisor.create(vm.uuid, vm.timeout, paused=vm.create_paused)

    def explained(self, context: ActionContext, error: VmError) -> VmError:
        """Return the error of a start with what to do about it."""
        return _restoring(context, error)


@dataclass(frozen=True, repr=False)
class Restore(Start):
    """Restore the VM from a memory snapshot: the file C(path), as the definition C(xml)."""

    name = "restore"
    path: str
    xml: str

    def start(self, context: ActionContext) -> None:
        vm = context.vm
        context.hypervisor.restore(self.path, self.xml, vm.timeout, paused=vm.create_paused)

    def explained(self, context: ActionContext, error: VmError) -> VmError:
        if error.lost_libvirt or error.code not in _UNSPECIFIC:
            return error
        message = "the VM could not be restored from the memory snapshot %s: %s" % (self.path, error.message)
        return VmError(
            "memory_snapshot_failed",
            message,
            libvirt_code=error.libvirt_code,
            libvirt_message=error.libvirt_message,
        )


def _started(context: ActionContext, log: QemuLog) -> Outcome:
    """Wait until a VM whose QEMU has started runs."""
    # Once restored, its memory is saved nowhere else.
    may_be_forced_off = not context.observed.saved
    try:
        if context.observed.saved:
            _resume_restored(context)
        outcome = _wait_until_running(context, log)
    except VmError as error:
        outcome = Outcome(failure=error)
    if outcome.failure is None:
        _set_oom_score(context)
        return Outcome((lambda: force_off(context)) if may_be_forced_off else None)
    if may_be_forced_off:
        with contextlib.suppress(VmError):
            force_off(context)
    return outcome


def _set_oom_score(context: ActionContext) -> None:
    """Set the OOM score, without which the VM runs as well."""
    score = context.vm.oom_score_adj
    if score is not None:
        try:
            set_oom_score(context.vm, context.system, score)
        except VmError as error:
            # A process has 0 by default.
            if score != 0:
                context.warnings.append(error.message)


def _restoring(context: ActionContext, error: VmError) -> VmError:
    """Return the error of a start; for a VM restored from saved memory, add what to do about that to its hint."""
    if not context.observed.saved or error.lost_libvirt:
        return error
    code, message, hint = error.code, error.message, error.hint
    if code in _UNSPECIFIC:
        code, hint = "saved_state_failed", ""
        message = "the VM could not be restored from its saved memory: %s" % message
    else:
        hint = " ".join((hint or ERROR_CODES[code].hint, ERROR_CODES["saved_state_failed"].hint))
    return VmError(code, message, hint, libvirt_code=error.libvirt_code, libvirt_message=error.libvirt_message)


def _resume_restored(context: ActionContext) -> None:
    """Resume a VM that was paused when its memory was saved: it is paused when restored."""
    if context.look()[0] == "paused" and not context.vm.create_paused:
        context.hypervisor.resume(context.vm.uuid)


def _give_up_start(context: ActionContext, log: QemuLog) -> Outcome:
    """Kill a QEMU that libvirt still waits for: libvirt can't end it before it has answered."""
    _kill_qemu(context)
    with contextlib.suppress(VmError):
        force_off(context)
    message = "the VM did not start within %d seconds" % context.vm.timeout
    # A QEMU that doesn't answer provides neither console nor screenshot.
    diagnostics = BootDiagnostics((), tuple(log.lines()), None)
    return Outcome(failure=VmError("start_timeout", log.explain(message)), diagnostics=diagnostics)


def _kill_qemu(context: ActionContext) -> None:
    """Kill QEMU directly; libvirt notices that it has ended."""
    name = context.vm.domain_name
    if not context.system.is_remote:
        context.system.processes.kill_process("%s/%s.pid" % (_RUN_DIRECTORY, name), "guest=%s," % name)


def _unless_running(context: ActionContext, call: Callable[[], None]) -> None:
    try:
        call()
    except VmError as error:
        if not _runs_nevertheless(context, error):
            raise


def _runs_nevertheless(context: ActionContext, error: VmError) -> bool:
    """Return whether the VM runs despite the error."""
    if error.lost_libvirt:
        try:
            context.hypervisor.reconnect()
        except VmError:
            return False

    def settled() -> bool:
        return context.look() != ("paused", "starting_up")

    with contextlib.suppress(VmError):
        return context.wait_for(settled, _SETTLE_SECONDS) and is_up(context.vm, *context.look())
    return False


def is_up(vm: Vm, state: str, reason: str) -> bool:
    """Return whether a VM is in the state that a start leads to: it runs, or is paused on purpose."""
    return state == "running" or (vm.create_paused and state == "paused" and reason in _PAUSED_ON_PURPOSE)


def _wait_until_running(context: ActionContext, log: QemuLog) -> Outcome:
    seen: list[Any] = ["", False]
    with BootWatch(context.hypervisor, context.system, context.vm) as watch:

        def decided() -> bool:
            state, reason = context.look()
            seen[:] = "%s (%s)" % (state, reason), is_up(context.vm, state, reason)
            if seen[1] or state in power_off.OFF or state == "crashed":
                return True
            watch.listen()
            return False

        in_time = context.wait_for(decided, context.vm.timeout)
        if in_time and seen[1]:
            return Outcome()
        diagnostics = watch.diagnostics()
    if in_time:
        error = log.explained(VmError("qemu_failed", "the VM ended right after it had started: it is %s" % seen[0]))
    else:
        message = "the VM did not run within %d seconds; its last state was %s" % (context.vm.timeout, seen[0])
        error = VmError("start_timeout", log.explain(message))
    return Outcome(failure=error, diagnostics=diagnostics)


@dataclass(frozen=True, repr=False)
class Stop(Action):
    """Shut a VM down, or force it off: at once, or when its timeout has passed. Its undo starts the VM again."""

    name = "stop"
    rollback_turn = RollbackTurn.POWER
    graceful: bool

    def do(self, context: ActionContext) -> Outcome:
        hypervisor, vm = context.hypervisor, context.vm
        if not self.graceful:
            force_off(context)
        elif _shut_down(context):
            _check_here(context)
        else:
            _check_idle(context)
            force_off(context)
        paused = vm.create_paused and context.observed.state == "paused"
        return Outcome(lambda: _unless_running(context, lambda: hypervisor.create(vm.uuid, vm.timeout, paused)))


def _shut_down(context: ActionContext) -> bool:
    """Return whether the guest has shut down within the VM's timeout."""
    hypervisor, vm = context.hypervisor, context.vm
    try:
        if context.observed.state == "paused":
            hypervisor.resume(vm.uuid)
        if context.observed.state == "pmsuspended":
            hypervisor.wake_up(vm.uuid)
        context.asked_to_shut_down = True
        return power_off.shut_down(hypervisor, vm.uuid, context.is_off, vm.timeout, context.cancelled)
    except VmError as error:
        if error.lost_libvirt and _goes_off_nevertheless(context):
            return True
        if error.lost_libvirt or error.code == "interrupted":
            asked = "may have been" if error.lost_libvirt else "has been"
            message = "%s; the guest %s asked to shut down, and may still do so" % (error.message, asked)
            raise error.replaced(message=message) from error
        if error.code == "vm_busy":
            raise
    return False


def _check_here(context: ActionContext) -> None:
    """Raise C(vm_busy) if the VM has not shut down, but been migrated: it runs on another hypervisor."""
    if context.look() == ("shutoff", "migrated"):
        raise VmError("vm_busy", "the VM was migrated to another hypervisor while its guest was to shut down")


def _check_idle(context: ActionContext) -> None:
    """Raise C(vm_busy) if a migration, a save or a backup has begun while the guest was waited for."""
    state, reason = context.look()
    if power_of(replace(context.observed, state=state, reason=reason)) != BUSY and not _has_job(context):
        return
    message = (
        "the guest has not shut down within %d seconds, and meanwhile a job has begun on the VM, which is %s (%s); "
        "the guest has been asked to shut down, and may still do so"
    )
    raise VmError("vm_busy", message % (context.vm.timeout, state, reason))


def _has_job(context: ActionContext) -> bool:
    try:
        return context.hypervisor.has_job(context.vm.uuid)
    except VmError as error:
        # libvirt can't say it of a QEMU that hangs.
        if error.code != "qemu_hangs":
            raise
        return False


def _goes_off_nevertheless(context: ActionContext) -> bool:
    """Wait in case the guest received the request before the connection to libvirt was lost."""
    with contextlib.suppress(VmError):
        return context.wait_for(context.is_off, _ASK_AGAIN_SECONDS)
    return False


def force_off(context: ActionContext) -> None:
    """Force the VM off."""
    power_off.force_off(context.hypervisor, context.vm.uuid, context.is_off)


@dataclass(frozen=True, repr=False)
class WaitUntilOff(Action):
    """Wait for a VM that is already shutting down."""

    name = "wait_until_off"

    def do(self, context: ActionContext) -> Outcome:
        if not context.wait_for(context.is_off, context.vm.timeout):
            state = "%s (%s)" % context.look()
            message = "the VM is shutting down, but was still %s after %d seconds" % (state, context.vm.timeout)
            raise VmError("shutdown_timeout", message)
        return Outcome()


@dataclass(frozen=True, repr=False)
class Resume(Action):
    """Resume a paused VM; QEMU pauses it again if the cause persists."""

    name = "resume"

    def do(self, context: ActionContext) -> Outcome:
        _unless_running(context, lambda: context.hypervisor.resume(context.vm.uuid))
        if context.observed.reason == "ioerror":
            # QEMU retries the request, and needs a moment to see it fail again.
            context.wait_for(lambda: context.look()[0] != "running", _REPEAT_SECONDS)
        state, reason = context.look()
        if state != "running":
            raise VmError("paused_again", "the VM was resumed, but is %s (%s) again" % (state, reason))
        return Outcome()


@dataclass(frozen=True, repr=False)
class WakeUp(Action):
    """Wake up a guest that has suspended to memory."""

    name = "wake_up"

    def do(self, context: ActionContext) -> Outcome:
        context.hypervisor.wake_up(context.vm.uuid)
        with BootWatch(context.hypervisor, context.system, context.vm) as watch:
            if context.wait_for(lambda: context.look()[0] == "running", context.vm.timeout):
                return Outcome()
            state = "%s (%s)" % context.look()
            message = "the VM was woken up, but was still %s after %d seconds" % (state, context.vm.timeout)
            return Outcome(failure=VmError("start_timeout", message), diagnostics=watch.diagnostics())
