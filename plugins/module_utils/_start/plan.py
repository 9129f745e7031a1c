# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the actions from the desired and the actual state. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Optional

from .._drift.walk import Difference
from .._errors.errors import VmError
from .._libvirt.observed import ObservedVm
from .._libvirt.power_state import BUSY, CRASHED, KEEP, RESUME, START, START_WHEN_OFF, WAKE_UP, power_of
from .._spec.vm import Vm
from ..import_lock import import_lock

if TYPE_CHECKING:
    from .._actions.action import Action
    from .._actions.definition import Rewriting

    # Finds what must exist before a VM starts or gets a device plugged in: secrets, sessions, directories.
    Prepare = Callable[[], Sequence[Action]]

_DISK_PATH = re.compile(r"devices/disk\[target=([^]]+)\]")


class Policy(NamedTuple):
    """The policy for differences. C(on_drift): next_boot, live, restart, fail, ignore; C(backup): save the definition.

    C(overlays): keep, or discard those on top of the images of volumes. C(saved_state): restore or discard.
    C(on_missing_machine): fail, or move to the newest machine type of the same board.
    """

    on_drift: str = "next_boot"
    backup: bool = False
    overlays: str = "keep"
    saved_state: str = "restore"
    on_missing_machine: str = "fail"


class Drift(NamedTuple):
    """The differences of a VM from the desired one.

    C(defined): its definition; C(running): the running VM, as far as the next boot would change it. C(live_actions)
    change the running VM, after which C(live_remaining) is left for the next boot. C(process): its QEMU process, which
    C(process_actions) change without the guest noticing.
    """

    defined: tuple[Difference, ...] = ()
    running: tuple[Difference, ...] = ()
    live_actions: tuple[Action, ...] = ()
    live_remaining: tuple[Difference, ...] = ()
    process: tuple[Difference, ...] = ()
    process_actions: tuple[Action, ...] = ()


class Use(NamedTuple):
    """The planned use of a domain: it is started, gets devices while it runs, or is only defined."""

    starts: bool = False
    attaches: bool = False


class Plan(NamedTuple):
    """The actions on a VM itself, and why: first C(definition), then C(changes) of the running VM.

    C(creations) of volumes come before all, so that a definition never names a volume that has yet to be created.
    C(beside): the differences that the actions remove and no definition shows.
    """

    definition: tuple[Action, ...]
    changes: tuple[Action, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]
    restart_required: bool
    creations: tuple[Action, ...] = ()
    beside: tuple[Difference, ...] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """Return the actions in order, without the preparations in between (see L(steps))."""
        return (*self.creations, *self.definition, *self.changes)


def without_restoring(vm: Vm, observed: ObservedVm) -> ObservedVm:
    """Return a VM that was restored paused as one that somebody has paused.

    libvirt's reason is that of an incoming migration, of a VM that usually has no definition yet. No task resumes a VM
    with C(create_paused), so that it never runs twice.
    """
    is_restored = vm.create_paused and observed.persistent and observed.state == "paused"
    return replace(observed, reason="user") if is_restored and observed.reason == "migration" else observed


def check_state(vm: Vm, observed: ObservedVm, policy: Policy) -> None:
    """Raise an error if a VM in this state can't be changed at all."""
    if observed.name_holder is not None:
        message = "the domain name %s belongs to the domain %s" % (vm.domain_name, observed.name_holder)
        raise VmError("name_taken", message)
    if observed.exists and observed.name != vm.domain_name:
        message = "the domain %s exists under the name %s instead of %s" % (vm.uuid, observed.name, vm.domain_name)
        raise VmError("uuid_taken", message)
    power = power_of(observed)
    if power == BUSY:
        raise VmError("vm_busy", "the VM is %s (%s)" % (observed.state, observed.reason))
    if power == CRASHED and policy.on_drift != "restart":
        raise VmError("vm_crashed", "the VM is %s (%s)" % (observed.state, observed.reason))


def is_to_be_started(observed: ObservedVm) -> bool:
    """Return whether the VM is off, or will be when it has shut down."""
    return power_of(observed) in (START, START_WHEN_OFF)


def will_start(observed: ObservedVm, drift: Drift, policy: Policy) -> bool:
    """Return whether the VM will boot, or be restored from its saved memory."""
    return is_to_be_started(observed) or _restarts(observed, drift, policy)


def will_attach(drift: Drift, policy: Policy) -> bool:
    """Return whether a running VM gets volumes, CDs or NICs that the hypervisor must prepare."""
    return policy.on_drift == "live" and any(action.needs_preparation for action in drift.live_actions)


def plan_vm(
    vm: Vm,
    observed: ObservedVm,
    drift: Drift,
    policy: Policy,
    definition: str,
    rewriting: Optional[Rewriting] = None,
    start: Optional[Action] = None,
) -> Plan:
    """Return the plan for a VM that L(check_state) accepts.

    C(start) starts a VM that is off, if not in the usual way.
    C(definition) is the XML to define, C(rewriting) for one with domain patches. What cannot be undone comes last.
    """
    beside = _beside_the_domain(vm, observed)
    running = _of_running_vm_alone(drift)
    # Of a password that changes, a definition shows the same mask before and after.
    masked = [difference for difference in drift.defined if difference.before == difference.after]
    left = _left(observed, drift, policy)
    adapt = not (observed.active and policy.on_drift == "ignore")
    restarts = _restarts(observed, drift, policy)
    changes = () if restarts or is_to_be_started(observed) else _live(drift, policy)
    return Plan(
        # The definition comes first: it keeps the undo of other VMs from removing what the VM shares with them.
        definition=tuple(_definition(vm, observed, drift, policy, definition, rewriting) if adapt else ()),
        changes=(*changes, *_power(vm, observed, restarts, policy, start)),
        differences=(*beside, *drift.defined, *running),
        warnings=tuple(_warnings(observed, drift, policy)),
        restart_required=bool(left),
        beside=(
            *((*beside, *masked) if adapt else ()),
            *(difference for difference in running if difference not in left),
        ),
    )


def steps(plan: Plan, prepare: Prepare) -> Iterator[Action]:
    """Return all actions. Each is requested when the one before it is done."""
    yield from plan.creations
    yield from plan.definition
    # Not earlier: before the VM is seen to need it, the undo of another VM may remove what exists.
    yield from prepare()
    yield from plan.changes


def touched_disks(plan: Plan) -> Optional[frozenset[str]]:
    """Return the names of the disks that a plan changes; None for all disks of a VM that is stopped."""
    if any(action.name == "stop" for action in plan.actions):
        return None
    if not plan.actions:
        return frozenset()
    found = (_DISK_PATH.match(difference.path) for difference in plan.differences)
    return frozenset(disk[1] for disk in found if disk is not None)


def check_drift(observed: ObservedVm, differences: Sequence[Difference], policy: Policy) -> None:
    """Raise an error if a running VM has drifted and the policy makes that a failure."""
    if observed.active and policy.on_drift == "fail" and differences:
        raise VmError("drift", "the VM is %s and has drifted: %s" % (observed.state, _paths(differences)))


def _restarts(observed: ObservedVm, drift: Drift, policy: Policy) -> bool:
    if policy.on_drift != "restart" or not observed.active:
        return False
    return power_of(observed) == CRASHED or (bool(drift.running) and power_of(observed) != START_WHEN_OFF)


def _live(drift: Drift, policy: Policy) -> tuple[Action, ...]:
    """Return what changes a running VM that is not restarted."""
    live = drift.live_actions if policy.on_drift == "live" else ()
    return (*live, *drift.process_actions) if policy.on_drift in ("live", "restart") else ()


def _beside_the_domain(vm: Vm, observed: ObservedVm) -> list[Difference]:
    """Return the differences in what libvirt keeps beside the definition."""
    found = []
    if observed.exists and not observed.persistent:
        found.append(Difference("persistent", "false", "true"))
    if vm.autostart is not None and observed.exists and observed.autostart != vm.autostart:
        found.append(Difference("autostart", _text(observed.autostart), _text(vm.autostart)))
    return found


def _text(value: Optional[bool]) -> str:
    return str(bool(value)).lower()


def _of_running_vm_alone(drift: Drift) -> list[Difference]:
    """Return the differences that the running VM has, and its definition has not."""
    known = {difference.path for difference in drift.defined}
    return [difference for difference in (*drift.running, *drift.process) if difference.path not in known]


def _paths(differences: Sequence[Difference]) -> str:
    shown = ", ".join(difference.path for difference in differences[:5])
    return shown if len(differences) <= 5 else "%s and %d more" % (shown, len(differences) - 5)


def _definition(
    vm: Vm, observed: ObservedVm, drift: Drift, policy: Policy, definition: str, rewriting: Optional[Rewriting]
) -> list[Action]:
    defines = drift.defined or not observed.persistent
    sets_autostart = vm.autostart is not None and bool(observed.autostart) != vm.autostart
    if not defines and not sets_autostart:
        return []
    with import_lock:
        from .._actions.definition import BackUpDefinition, Define, SetAutostart

    actions: list[Action] = []
    if defines:
        if policy.backup and observed.inactive_xml is not None:
            actions.append(BackUpDefinition(observed.inactive_xml))
        actions.append(Define(definition, rewriting))
    if sets_autostart:
        actions.append(SetAutostart(bool(vm.autostart)))
    return actions


def will_restore(observed: ObservedVm, policy: Policy) -> bool:
    """Return whether a start restores the VM from its saved memory."""
    return observed.saved and policy.saved_state == "restore"


def _power(vm: Vm, observed: ObservedVm, restarts: bool, policy: Policy, given_start: Optional[Action]) -> list[Action]:
    power = power_of(observed)
    if power == KEEP and not restarts:
        return []
    with import_lock:
        from .._actions.power import DiscardSavedState, Resume, Start, Stop, WaitUntilOff, WakeUp, is_up

    start = given_start or Start()
    if observed.saved and given_start is not None:
        return [DiscardSavedState(), start]
    if observed.saved and not will_restore(observed, policy):
        return [DiscardSavedState(), Start()]
    if restarts:
        # A guest that was created paused is not resumed, not even to shut down.
        is_asked = power in (KEEP, RESUME, WAKE_UP) and not (power == RESUME and vm.create_paused)
        return [Stop(graceful=is_asked), Start()]
    actions: Mapping[str, list[Action]] = {
        START: [start],
        START_WHEN_OFF: [WaitUntilOff(), start],
        RESUME: [] if is_up(vm, observed.state, observed.reason) else [Resume()],
        WAKE_UP: [WakeUp()],
    }
    return actions.get(power, [])


def _left(observed: ObservedVm, drift: Drift, policy: Policy) -> tuple[Difference, ...]:
    """Return how the running VM still differs from what is desired after the plan."""
    if will_restore(observed, policy):
        return drift.defined
    if not observed.active or will_start(observed, drift, policy):
        return ()
    if policy.on_drift == "live":
        return drift.live_remaining
    return drift.running if policy.on_drift == "restart" else (*drift.running, *drift.process)


def _warnings(observed: ObservedVm, drift: Drift, policy: Policy) -> list[str]:
    if will_restore(observed, policy) and drift.defined:
        return [
            "the VM is suspended to disk: it comes back as it was saved, "
            "and the changed definition takes effect when it next boots"
        ]
    return []
