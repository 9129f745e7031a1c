# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Execute the plan of a VM, and wait until the VM is ready."""

from __future__ import annotations

from collections.abc import Iterator

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.action import Action
from .._actions.context import ActionContext
from .._drift.live_drift import restart_changes
from .._errors.errors import VmFailed
from .._libvirt.observed import ObservedVm
from .._libvirt.power_off import OFF
from .._spec.vm import Vm
from .apply import apply
from .console_address import console_of
from .readiness import is_started, wait_until_ready
from .result import VmResult
from .run_context import RunContext


def execute(run: RunContext, vm: Vm, observed: ObservedVm, actions: Iterator[Action], result: VmResult) -> None:
    """Execute the actions, and note in C(result) what they did. Raise VmFailed or VmError."""
    context = ActionContext(run.hypervisor, run.system, vm, observed, run.request.cancelled)
    try:
        _apply(run, context, actions, result)
        _wait_until_ready(context, result)
    finally:
        result.state = context.state or observed.state
        result.actions = context.done
        result.backup_file = context.backup_file
        result.warnings += context.warnings


def _apply(run: RunContext, context: ActionContext, actions: Iterator[Action], result: VmResult) -> None:
    try:
        apply(context, actions)
    except VmFailed as ended:
        if ended.failure.rollback == "partial":
            result.restart_required = result.restart_required or context.live_change_refused
        else:
            result.restart_required = _is_still_required(run, context)
        raise
    result.restart_required = result.restart_required or context.live_change_refused


def _is_still_required(run: RunContext, context: ActionContext) -> bool:
    """Return whether a restart was due before, and still is, now that everything is undone."""
    observed = context.observed
    defined, live = observed.inactive, observed.live
    if defined is None or live is None or not observed.persistent:
        return False
    if "stop" in context.done or context.state in OFF:
        return False
    return restart_changes(defined, live, run.bridge_ports.of(live))


def _wait_until_ready(context: ActionContext, result: VmResult) -> None:
    started = None
    if is_started(context):
        live_xml = context.retried(lambda: context.hypervisor.xml(context.vm.uuid, inactive=False))
        result.console = started = console_of(context.vm, etree.fromstring(live_xml))
    result.addresses = wait_until_ready(context, started)
