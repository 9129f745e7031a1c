# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the VMs of a task side by side, each independently: observe, plan, apply."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain import build as domain
from .._drift.live_drift import live_drift
from .._drift.omitted import with_omitted
from .._drift.reconcile import Reconciled, left_from_before_patches, reconcile, rewritten
from .._drift.walk import Difference
from .._errors.errors import Failure, Problem, VmError, VmFailed, VmProblems, internal_errors
from .._host.system import System
from .._host_storage.facts import facts as storage_facts
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import ObservedVm, observe
from .._spec.guest_waits import NEEDS_GUEST
from .._spec.vm import Vm
from ..import_lock import import_lock
from .console_address import console_of
from .machine_types import MachineTypes
from .plan import (
    Drift,
    Plan,
    Use,
    check_drift,
    check_state,
    is_to_be_started,
    plan_vm,
    steps,
    will_attach,
    will_restore,
    will_start,
    without_restoring,
)
from .result import SecretMask, VmResult, as_failure, failed, of_vm, without_secrets_of_patches
from .run_context import RunContext, StartRequest, begin_run
from .start_order import start_in_order
from .volume_work import VolumeWork, with_volumes
from .volumes import check_block_jobs, keep_overlays, move_warnings, on_overlays

if TYPE_CHECKING:
    from .._actions.action import Action
    from .._actions.definition import Rewriting
    from .._host_storage.overlays import Overlays
    from .._host_storage.seeds import Seed
    from .._storage.base import StorageFacts
    from .memory_snapshot import PlannedRestore
    from .plan import Prepare

# What only some VMs need is imported where it is used: most runs change nothing, and every task compiles its imports.


def start_vms(hypervisor: Hypervisor, system: System, vms: Sequence[Vm], request: StartRequest) -> list[VmResult]:
    """Start the VMs, and return one result for each, in their order. Never raise an error."""
    try:
        with internal_errors():
            run = begin_run(hypervisor, system, vms, request)
            workers = run.workers
    except VmError as error:
        mask = SecretMask(request.secrets)
        return [failed(of_vm(vm), Failure(error, "look"), mask) for vm in vms]
    return start_in_order(partial(_start, run), run.vms, workers)


def _start(run: RunContext, vm: Vm, failed_before: Sequence[Vm]) -> VmResult:
    result = of_vm(vm)
    try:
        if run.request.cancelled.is_set():
            raise VmError("interrupted", "the task was interrupted before this VM was started")
        if failed_before:
            names = ", ".join(other.label for other in failed_before)
            raise VmError("earlier_vm_failed", "not started, because VMs with a lower start_order failed: %s" % names)
        with internal_errors():
            if run.request.check_mode:
                _plan_and_apply(run, vm, result)
            else:
                with run.system.lock(vm.uuid).acquire(vm.timeout, run.request.cancelled):
                    _plan_and_apply(run, vm, result)
    except VmProblems as problems:
        return failed(result, as_failure(problems), run.mask)
    except VmFailed as ended:
        return failed(result, ended.failure, run.mask)
    except VmError as error:
        return failed(result, Failure(error, "look"), run.mask)
    return result


def _plan_and_apply(run: RunContext, vm: Vm, result: VmResult) -> None:
    observed = observe(run.hypervisor, vm, run.domains, trusts_off=run.request.check_mode)
    result.state = observed.state
    result.console = console_of(vm, observed.live)
    observed = without_restoring(vm, observed)
    check_state(vm, observed, run.policy)
    plan, prepare = _plan(run, vm, observed, result)
    result.restart_required = plan.restart_required
    result.warnings += plan.warnings
    check_drift(observed, plan.differences, run.policy)
    if plan.actions and observed.active:
        if run.hypervisor.has_job(vm.uuid):
            raise VmError("vm_busy", "the VM is %s, and a job is running on it" % observed.state)
        check_block_jobs(run.hypervisor, vm, observed, plan)
    actions = steps(plan, prepare)
    if run.request.check_mode:
        result.actions = [action.name for action in actions if run.shared_actions.is_first(action)]
    elif plan.actions or vm.wait_for in NEEDS_GUEST:
        with import_lock:
            from .execution import execute

        execute(run, vm, observed, actions, result)


class _Comparison(NamedTuple):
    """A VM as desired, and how the existing one differs from it. C(built): the desired domain on the overlays."""

    facts: StorageFacts
    seed: Optional[Seed]
    desired: domain.DesiredDomain
    overlays: Overlays
    machines: MachineTypes
    built: domain.DesiredDomain
    to_define: domain.DesiredDomain
    reconciled: Reconciled
    drift: Drift


def _compare(run: RunContext, vm: Vm, observed: ObservedVm) -> _Comparison:
    existing, live = observed.inactive, observed.live
    facts = storage_facts(vm, existing, run.system, run.hypervisor)
    seed = None
    if vm.cloud_init is not None:
        with import_lock:
            from .._host_storage.seeds import seed_of

        seed = seed_of(vm, existing, live, run.system)
        facts = facts if seed is None else facts._replace(seed_path=seed.path)
    desired = domain.build(vm, run.host, facts)
    overlays = keep_overlays(run, vm, facts, desired.element, existing, live)
    moves = run.policy.on_missing_machine == "newest"
    machines = MachineTypes(vm, desired, existing, live, run.host.capabilities, moves)
    built = on_overlays(machines.to_define, overlays.defined)
    to_define = _with_omitted(built, vm, existing)
    reconciled = reconcile(to_define.element, existing, to_define.unpatched)
    running = _with_omitted(on_overlays(machines.to_run, overlays.live), vm, live)
    drift = _drift(run, vm, running, reconciled, observed)
    return _Comparison(facts, seed, desired, overlays, machines, built, to_define, reconciled, drift)


def _show(run: RunContext, vm: Vm, observed: ObservedVm, compared: _Comparison, result: VmResult) -> None:
    """Note in C(result) what the comparison has found."""
    existing, reconciled = observed.inactive, compared.reconciled
    result.overlays = compared.overlays.entries()
    result.warnings += compared.desired.warnings
    actual = existing if observed.live is None else observed.live
    result.warnings += move_warnings(run, vm, compared.to_define.element, actual)
    if reconciled.other_board:
        result.warnings.append(
            "the machine type changes to another family: the guest gets new hardware, and no device keeps its address"
        )


def _plan(run: RunContext, vm: Vm, observed: ObservedVm, result: VmResult) -> tuple[Plan, Prepare]:
    """Return the plan for the VM itself, and what finds the preparations that it needs."""
    compared = _compare(run, vm, observed)
    _show(run, vm, observed, compared, result)
    facts, reconciled, drift, machines = compared.facts, compared.reconciled, compared.drift, compared.machines
    to_define = compared.to_define
    is_defined = bool(reconciled.differences) or not observed.persistent
    definition = etree.tostring(reconciled.merged, encoding="unicode") if is_defined else ""
    use = Use(will_start(observed, drift, run.policy), will_attach(drift, run.policy))
    work = _volume_work(run, vm, observed, compared)
    snapshot = _snapshot(run, vm, observed, compared)
    problems: list[Problem] = []
    defined = reconciled.merged
    restore = None
    if snapshot is not None:
        restore = snapshot.action
        problems += snapshot.problems
        if observed.inactive is None and snapshot.definition:
            definition = snapshot.definition
            defined = etree.fromstring(definition)
            to_define = _with_omitted(compared.built, vm, defined)
    plan = plan_vm(vm, observed, drift, run.policy, definition, _rewriting(to_define), restore)
    if snapshot is not None and snapshot.leaves_drift:
        plan = plan._replace(restart_required=True)
    plan = with_volumes(plan, work, observed, run.policy, use.starts)
    if use.starts or plan.definition:
        problems += machines.problems(use.starts and will_restore(observed, run.policy))
    else:
        result.warnings += machines.warnings()
    prepare: Prepare = tuple
    if use.starts or use.attaches or plan.definition:
        plan, unwritable = _with_seed(run, vm, compared.seed, plan)
        with import_lock:
            from .prerequisites import Change, check, preparations

        change = Change(vm, compared.desired, reconciled.merged, observed, facts, compared.overlays, work, plan, use)
        found = check(run, change)
        problems += [*unwritable, *found.problems]
        result.warnings += found.warnings
        if use.starts or use.attaches:
            prepare = partial(preparations, run, vm, facts)
    result.differences = plan.differences
    if run.request.diff:
        with import_lock:
            from .diff import show_diff

        show_diff(vm, observed, plan, defined, result)
    without_secrets_of_patches(result, vm)
    problems = [*facts.problems, *problems]
    _refuse(run, problems)
    if run.request.check_mode and not problems and any(action.name == "define" for action in plan.definition):
        _check_definition(run, to_define, definition, observed)
    # In check mode, an earlier task may not have created yet what is missing.
    result.warnings += [str(problem) for problem in problems]
    return plan, prepare


def _volume_work(run: RunContext, vm: Vm, observed: ObservedVm, compared: _Comparison) -> VolumeWork:
    """Return the work on the volumes that say how they are created."""
    if not any(volume.create for volume in vm.volumes):
        return VolumeWork()
    with import_lock:
        from .created_volumes import Domains, volume_work

    domains = Domains(compared.to_define.element, observed.inactive, observed.live, compared.overlays)
    return volume_work(run, vm, compared.facts, domains)


def _snapshot(run: RunContext, vm: Vm, observed: ObservedVm, compared: _Comparison) -> Optional[PlannedRestore]:
    """Return how the VM is restored from its memory snapshot, None without one."""
    if vm.memory_snapshot is None:
        return None
    with import_lock:
        from .memory_snapshot import plan_restore

    starts = is_to_be_started(observed)
    return plan_restore(vm, compared.built, run.hypervisor, run.system, run.host, starts)


def _with_seed(run: RunContext, vm: Vm, seed: Optional[Seed], plan: Plan) -> tuple[Plan, list[Problem]]:
    """Return the plan with the seed, if it has to be written, and what prevents that."""
    if seed is None or seed.is_current:
        return plan, []
    with import_lock:
        from .._host_storage.seeds import seed_action, seed_problems

    # The definition names it, so it comes first.
    write = seed_action(seed, run.host.capabilities.qemu_owner)
    return plan._replace(definition=(write, *plan.definition)), list(seed_problems(vm, run.system))


def _refuse(run: RunContext, problems: Sequence[Problem]) -> None:
    """Raise the problems; in check mode only if rights are missing."""
    if problems and (not run.request.check_mode or any(problem.code == "needs_root" for problem in problems)):
        raise VmProblems(problems)


def _with_omitted(desired: domain.DesiredDomain, vm: Vm, existing: Optional[etree._Element]) -> domain.DesiredDomain:
    return desired._replace(element=with_omitted(desired.element, vm, existing))


def _rewriting(desired: domain.DesiredDomain) -> Optional[Rewriting]:
    unpatched = desired.unpatched
    if unpatched is None:
        return None
    return lambda defined: rewritten(desired.element, unpatched, etree.fromstring(defined))


def _check_definition(run: RunContext, desired: domain.DesiredDomain, definition: str, observed: ObservedVm) -> None:
    """Raise libvirt's objections to a definition."""
    try:
        if desired.unpatched is not None and not run.system.is_remote:
            # What the builders write conforms to the schema.
            with import_lock:
                from .._host.domain_schema import check_schema

            check_schema(definition)
        run.hypervisor.check_definition(definition, observed.inactive_xml)
    except VmError as error:
        raise VmFailed(Failure(error, "define")) from error


def _drift(
    run: RunContext, vm: Vm, desired: domain.DesiredDomain, reconciled: Reconciled, observed: ObservedVm
) -> Drift:
    defined: Sequence[Difference] = reconciled.differences
    live = observed.live
    if live is None:
        return Drift(defined=tuple(defined))
    ports = run.bridge_ports.of(live)
    left: tuple[Difference, ...] = ()
    if desired.unpatched is None:
        changes = live_drift(desired.element, live, ports)
    else:
        changes = live_drift(desired.element, live, ports, reconciled.merged)
        left = left_from_before_patches(desired.element, desired.unpatched, live, reconciled.merged)
    # A new description is no reason to restart a VM, but a running one can get it.
    running = changes.differences if run.policy.on_drift == "live" else changes.for_guest
    # The definition of a transient domain is what runs, with all that libvirt has added.
    defined = defined if observed.persistent else ()
    scored, actions = _oom_score_drift(vm, run)
    return Drift(
        tuple(defined),
        (*left, *running),
        tuple(changes.actions),
        (*left, *changes.remaining),
        process=tuple(scored),
        process_actions=tuple(actions),
    )


def _oom_score_drift(vm: Vm, run: RunContext) -> tuple[list[Difference], list[Action]]:
    """Return how the OOM score of a running VM differs, and what changes it."""
    desired = vm.oom_score_adj
    if desired is None:
        return [], []
    with import_lock:
        from .._actions.oom_score import SetOomScore, oom_score

    actual = oom_score(vm, run.system)
    if actual is None or actual == desired:
        return [], []
    return [Difference("oom_score_adj", str(actual), str(desired))], [SetOomScore(desired, actual)]
