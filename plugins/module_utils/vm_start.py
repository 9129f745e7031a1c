# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All VMs of a task: asked about, planned and started side by side, each on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from . import domain, storage
from .action import Action
from .apply import apply
from .context import Context, System
from .domain_diff import Difference, left_from_before_patches, live_changes, reconcile
from .errors import Problem, VmError, VmProblems, mistakes_as_errors
from .hypervisor import Hypervisor
from .observed import ObservedVm, observe
from .plan import (
    Drift,
    Plan,
    Policy,
    Prepare,
    check_drift,
    check_state,
    plan_vm,
    steps,
    touched_disks,
    will_attach,
    will_start,
)
from .preflight import host_problems, memory_warnings, missing_channel_directories, network_filter_problems
from .result import SecretMask, VmResult, as_one_error, domain_text, failed, of_vm
from .start_order import start_in_order
from .storage.overlays import (
    ImageReader,
    Overlays,
    chain_problems,
    discard_problems,
    disk_targets,
    find_overlays,
    with_overlays,
)
from .task import Order, Task, begin_task
from .usable import console_of, wait_until_usable
from .vm import Vm


def start_vms(hypervisor: Hypervisor, system: System, vms: Sequence[Vm], order: Order) -> list[VmResult]:
    """Starts the VMs and returns one result for each, in their order; raises nothing."""
    try:
        with mistakes_as_errors():
            task = begin_task(hypervisor, system, vms, order)
            workers = task.workers
    except VmError as error:
        mask = SecretMask(order.secrets)
        return [failed(of_vm(vm), error, mask) for vm in vms]
    return start_in_order(partial(_start, task), vms, workers)


def _start(task: Task, vm: Vm, failed_before: Sequence[Vm]) -> VmResult:
    result = of_vm(vm)
    try:
        if task.order.cancelled.is_set():
            raise VmError("interrupted", "the task was asked to stop before it came to this VM")
        if failed_before:
            names = ", ".join(other.label for other in failed_before)
            raise VmError("earlier_vm_failed", "not begun, because VMs with a lower start_order failed: %s" % names)
        with mistakes_as_errors():
            if task.order.check_mode:
                _plan_and_apply(task, vm, result)
            else:
                with task.system.lock(vm.uuid).acquire(vm.timeout):
                    _plan_and_apply(task, vm, result)
    except VmProblems as problems:
        return failed(result, as_one_error(problems), task.mask)
    except VmError as error:
        return failed(result, error, task.mask)
    return result


def _plan_and_apply(task: Task, vm: Vm, result: VmResult) -> None:
    observed = observe(task.hypervisor, vm, task.domains)
    result.state = observed.state
    result.console = console_of(vm, observed.live_xml)
    check_state(vm, observed, task.policy)
    plan, prepare = _plan(task, vm, observed, result)
    result.restart_required = plan.restart_required
    result.warnings += plan.warnings
    check_drift(observed, plan.differences, task.policy)
    if plan.actions and observed.active:
        _check_jobs(task.hypervisor, vm, observed, plan)
    actions = steps(plan, prepare)
    if task.order.check_mode:
        result.actions = [action.name for action in actions if task.foreseen.is_first(action)]
    else:
        _apply(task, vm, observed, actions, result)


def _check_jobs(hypervisor: Hypervisor, vm: Vm, observed: ObservedVm, plan: Plan) -> None:
    """Raises what is being done to the VM, or to a disk that the plan would change."""
    if hypervisor.has_job(vm.uuid):
        raise VmError("vm_busy", "the VM is %s, and a job is being done on it" % observed.state)
    touched = touched_disks(plan)
    if touched is not None and not touched:
        return
    targets = [each for each in disk_targets(etree.fromstring(observed.live_xml)) if touched is None or each in touched]
    try:
        busy = next((target for target in targets if hypervisor.has_block_job(vm.uuid, target)), None)
    except VmError as error:
        if error.code != "qemu_hangs":
            raise
        # It does nothing, then, and may have to be forced off for a restart.
        return
    if busy is not None:
        message = "the disk %s is being copied, committed or pulled" % busy
        raise VmError("vm_busy", message, 'Wait until the block job is done ("virsh blockjob"), or end it.')


def _plan(task: Task, vm: Vm, observed: ObservedVm, result: VmResult) -> tuple[Plan, Prepare]:
    """What is to be done to the VM itself, and what finds out what must be prepared for it."""
    existing, live = (
        None if xml is None else etree.fromstring(xml) for xml in (observed.inactive_xml, observed.live_xml)
    )
    facts = storage.facts(vm, existing, task.system, task.hypervisor)
    desired = domain.build(vm, task.host, facts)
    overlays = _overlays(task, vm, facts, desired, existing, live)
    result.overlays = overlays.entries()
    to_define = _on_overlays(desired, overlays.defined)
    reconciled = reconcile(to_define.element, existing, to_define.unpatched)
    drift = _drift(_on_overlays(desired, overlays.live), live, reconciled.differences, observed, task.policy)
    if task.order.diff:
        result.before = result.after = domain_text(existing)
        if reconciled.differences or existing is None:
            result.after = domain_text(reconciled.merged)
    result.warnings += desired.warnings
    if reconciled.other_board:
        result.warnings.append(
            "the machine becomes one of another kind, on which nothing keeps its place: "
            "the guest finds all its hardware anew"
        )
    problems = list(facts.problems)
    prepare: Prepare = tuple
    if will_start(observed, drift, task.policy) or will_attach(drift, task.policy):
        problems += [*desired.missing, *_storage_problems(task, vm, facts, overlays), *host_problems(vm, task.system)]
        problems += network_filter_problems(vm, task.network_filters)
        problems += storage.secret_conflicts(vm, facts, task.hypervisor)
        prepare = partial(_preparations, task, vm, facts)
        result.warnings += memory_warnings(vm, task.free_memory)
    definition = etree.tostring(reconciled.merged, encoding="unicode")
    plan = plan_vm(vm, observed, drift, task.policy, definition)
    result.differences = plan.differences
    if problems and not task.order.check_mode:
        raise VmProblems(problems)
    # In check mode an earlier task may not have made yet what is missing.
    result.warnings += [str(problem) for problem in problems]
    return plan, prepare


def _overlays(
    task: Task,
    vm: Vm,
    facts: storage.StorageFacts,
    desired: domain.DesiredDomain,
    existing: Optional[etree._Element],
    live: Optional[etree._Element],
) -> Overlays:
    """The overlays to keep. Raises what holds them where they are to be discarded."""
    reader = ImageReader(task.system, task.hypervisor, vm.uuid)
    overlays = find_overlays(desired.element, existing, live, reader)
    if task.policy.overlays == "keep":
        return overlays
    problems = discard_problems(vm, storage.volumes_by_image(vm, facts), overlays, live, reader)
    if problems:
        raise VmProblems(problems)
    return Overlays()


def _on_overlays(desired: domain.DesiredDomain, overlays: Mapping[str, etree._Element]) -> domain.DesiredDomain:
    unpatched = None if desired.unpatched is None else with_overlays(desired.unpatched, overlays)
    return replace(desired, element=with_overlays(desired.element, overlays), unpatched=unpatched)


def _storage_problems(task: Task, vm: Vm, facts: storage.StorageFacts, overlays: Overlays) -> list[Problem]:
    """Of an image that is missing, what says by which other one it is missed comes first."""
    chains = chain_problems(storage.volumes_by_image(vm, facts), facts.formats, overlays, task.system)
    known = {(problem.place, problem.code) for problem in chains}
    return [*chains, *(each for each in task.storage_problems(vm) if (each.place, each.code) not in known)]


def _drift(
    desired: domain.DesiredDomain,
    live: Optional[etree._Element],
    defined: Sequence[Difference],
    observed: ObservedVm,
    policy: Policy,
) -> Drift:
    if live is None:
        return Drift(defined=tuple(defined))
    changes = live_changes(desired.element, live)
    left: tuple[Difference, ...] = ()
    if desired.unpatched is not None:
        left = left_from_before_patches(desired.element, desired.unpatched, live)
    # A new description is no reason to restart a VM, but it can be set in one that runs.
    running = changes.differences if policy.on_drift == "live" else changes.for_guest
    # What a transient domain has as its definition is what runs, with all that libvirt has added.
    defined = defined if observed.persistent else ()
    return Drift(tuple(defined), (*left, *running), changes.actions, (*left, *changes.remaining))


def _preparations(task: Task, vm: Vm, facts: storage.StorageFacts) -> list[Action]:
    owner = task.host.capabilities.qemu_owner
    return [
        *storage.prepare(vm, facts, task.system, task.hypervisor),
        *(
            Action("create_channel_dir", {"path": path, "owner": owner}, shared=path)
            for path in missing_channel_directories(vm, task.system)
        ),
    ]


def _apply(task: Task, vm: Vm, observed: ObservedVm, actions: Iterator[Action], result: VmResult) -> None:
    context = Context(task.hypervisor, task.system, vm, observed, task.order.cancelled)
    try:
        apply(context, actions)
        _wait_until_usable(context, result)
    finally:
        result.state = context.state or observed.state
        result.actions = context.done
        result.backup_file = context.backup_file
        result.warnings += context.warnings
        result.restart_required = result.restart_required or context.live_change_refused


def _wait_until_usable(context: Context, result: VmResult) -> None:
    started = None
    if "start" in context.done:
        live_xml = context.retried(lambda: context.hypervisor.xml(context.vm.uuid, inactive=False))
        result.console = started = console_of(context.vm, live_xml)
    wait_until_usable(context, started)
