# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that change whether a VM runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional

from .._diagnostics.boot_diagnostics import Watch
from .._diagnostics.qemu_log import QemuLog
from .._errors.errors import LastSeen, VmError
from .context import Context, Executor, Undo

_RUN_DIRECTORY = "/run/libvirt/qemu"
_OFF = ("shutoff", "absent")
_SETTLE_SECONDS = 10
_REPEAT_SECONDS = 1
_ASK_AGAIN_SECONDS = 5


def start(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
    """Boots the VM, or brings it back from its saved memory, and waits until it runs."""
    hypervisor, vm = context.hypervisor, context.vm
    log = QemuLog(context.system, vm.domain_name)
    try:
        hypervisor.create(vm.uuid, vm.timeout)
    except VmError as error:
        if error.code == "qemu_hangs":
            _give_up_start(context)
            message = "the VM did not start within %d seconds" % vm.timeout
            late = VmError("start_timeout", log.explain(message))
            # A QEMU that doesn't answer shows neither console nor screen.
            late.last_seen = LastSeen((), tuple(log.lines()), None)
            raise late from error
        if not _runs_all_the_same(context, error):
            if error.lost_libvirt and not context.observed.saved:
                # A libvirtd that hangs or is gone ends nothing that it has begun.
                _end_qemu(context)
            raise log.better(error) from error
    # From here on what came back from its saved memory has it nowhere else.
    may_be_ended = not context.observed.saved
    try:
        if context.observed.saved:
            _go_on(context)
        _wait_until_running(context, log)
    except VmError:
        if may_be_ended:
            with contextlib.suppress(VmError):
                _end(context)
        raise
    return (lambda: _end(context)) if may_be_ended else None


def _go_on(context: Context) -> None:
    """A VM that was paused when its memory was saved comes back paused."""
    if context.look()[0] == "paused":
        context.hypervisor.resume(context.vm.uuid)


def _give_up_start(context: Context) -> None:
    """Ends a QEMU that libvirt still waits for: until it has answered, libvirt itself can't end it."""
    _end_qemu(context)
    with contextlib.suppress(VmError):
        _end(context)


def _end_qemu(context: Context) -> None:
    """Without libvirt, which therefore sees it die."""
    name = context.vm.domain_name
    if not context.system.is_remote:
        context.system.kill_process("%s/%s.pid" % (_RUN_DIRECTORY, name), "guest=%s," % name)


def _unless_running(context: Context, call: Callable[[], None]) -> None:
    try:
        call()
    except VmError as error:
        if not _runs_all_the_same(context, error):
            raise


def _runs_all_the_same(context: Context, error: VmError) -> bool:
    """An error of libvirt while the VM runs is none."""
    if error.lost_libvirt:
        try:
            context.hypervisor.reconnect()
        except VmError:
            return False

    def settled() -> bool:
        return context.look() != ("paused", "starting_up")

    with contextlib.suppress(VmError):
        return context.wait_for(settled, _SETTLE_SECONDS) and context.look()[0] == "running"
    return False


def _wait_until_running(context: Context, log: QemuLog) -> None:
    seen = [""]
    with Watch(context.hypervisor, context.system, context.vm) as watch:

        def decided() -> bool:
            state, reason = context.look()
            seen[0] = "%s (%s)" % (state, reason)
            if state == "running" or state in _OFF or state == "crashed":
                return True
            watch.listen()
            return False

        in_time = context.wait_for(decided, context.vm.timeout)
        if in_time and seen[0].startswith("running"):
            return
        last_seen = watch.last_seen()
    if in_time:
        error = log.better(VmError("qemu_failed", "the VM ended right after it had started: it is %s" % seen[0]))
    else:
        message = "the VM did not run within %d seconds; it was last seen %s" % (context.vm.timeout, seen[0])
        error = VmError("start_timeout", log.explain(message))
    error.last_seen = last_seen
    raise error


def stop(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
    """Shuts a VM down, the hard way when it takes longer than its timeout; undone, it is started again."""
    hypervisor, vm = context.hypervisor, context.vm
    if not (detail["graceful"] and _shut_down(context)):
        _end(context)

    return lambda: _unless_running(context, lambda: hypervisor.create(vm.uuid, vm.timeout))


def _shut_down(context: Context) -> bool:
    """Whether the guest has shut itself down within the VM's timeout."""
    hypervisor, uuid = context.hypervisor, context.vm.uuid
    try:
        if context.observed.state == "paused":
            hypervisor.resume(uuid)
        if context.observed.state == "pmsuspended":
            hypervisor.wake_up(uuid)
        for seconds in _slices(context.vm.timeout):
            hypervisor.shutdown(uuid, seconds)
            if context.wait_for(lambda: context.look()[0] in _OFF, seconds):
                return True
    except VmError as error:
        if error.lost_libvirt and _goes_off_all_the_same(context):
            return True
        if error.lost_libvirt or error.code == "interrupted":
            asked = "may have been" if error.lost_libvirt else "has been"
            error.message += "; the guest %s asked to shut down, and may still do so" % asked
            raise
        if error.code == "vm_busy":
            raise
    return False


def _goes_off_all_the_same(context: Context) -> bool:
    """Nobody knows whether the guest was asked before libvirt was lost."""
    with contextlib.suppress(VmError):
        return context.wait_for(lambda: context.look()[0] in _OFF, _ASK_AGAIN_SECONDS)
    return False


def _slices(seconds: int) -> Iterator[int]:
    """A time in parts, at the beginning of each of which the guest is asked: one that still boots forgets it."""
    for passed in range(0, seconds, _ASK_AGAIN_SECONDS):
        yield min(_ASK_AGAIN_SECONDS, seconds - passed)


def _end(context: Context) -> None:
    """Ends the VM's QEMU; one that has ended by itself is fine."""
    try:
        context.hypervisor.destroy(context.vm.uuid)
    except VmError:
        if context.look()[0] not in _OFF:
            raise


def wait_until_off(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
    """Waits for a VM that is shutting down already."""
    if not context.wait_for(lambda: context.look()[0] in _OFF, context.vm.timeout):
        state = "%s (%s)" % context.look()
        message = "the VM is shutting down, but was still %s after %d seconds" % (state, context.vm.timeout)
        raise VmError("shutdown_timeout", message)
    return None


def resume(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
    """Lets a paused VM go on; QEMU pauses it again when what paused it is still there."""
    _unless_running(context, lambda: context.hypervisor.resume(context.vm.uuid))
    if context.observed.reason == "ioerror":
        # QEMU repeats the request, and needs a moment to see it fail again.
        context.wait_for(lambda: context.look()[0] != "running", _REPEAT_SECONDS)
    state, reason = context.look()
    if state != "running":
        raise VmError("paused_again", "the VM was resumed, but is %s (%s) again" % (state, reason))
    return None


def wake_up(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
    """Wakes a guest that has suspended itself to memory."""
    context.hypervisor.wake_up(context.vm.uuid)
    with Watch(context.hypervisor, context.system, context.vm) as watch:
        if context.wait_for(lambda: context.look()[0] == "running", context.vm.timeout):
            return None
        state = "%s (%s)" % context.look()
        message = "the VM was woken up, but was still %s after %d seconds" % (state, context.vm.timeout)
        error = VmError("start_timeout", message)
        error.last_seen = watch.last_seen()
        raise error


EXECUTORS: Mapping[str, Executor] = {
    "start": start,
    "stop": stop,
    "wait_until_off": wait_until_off,
    "resume": resume,
    "wake_up": wake_up,
}
