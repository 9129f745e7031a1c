# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what a change of a VM needs, before anything is changed, and prepare it."""

from __future__ import annotations

from dataclasses import dataclass

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.action import Action
from .._actions.definition import BACKUP_DIRECTORY, CreateChannelDirectory, CreateNvramDirectory, RestrictQmpDirectory
from .._domain.build import DesiredDomain
from .._errors.errors import Problem
from .._host_storage.overlays import Overlays
from .._host_storage.preparation import prepare as prepare_storage
from .._host_storage.secrets import secret_conflicts
from .._libvirt.observed import ObservedVm
from .._spec.vm import Vm
from .._storage.base import StorageFacts
from .conflicts import Conflicts, find_conflicts
from .daemons import daemon_problems
from .plan import Plan, Use
from .preflight import (
    backup_problems,
    host_problems,
    memory_warnings,
    missing_channel_directories,
    missing_explained,
    missing_nvram_directory,
    network_filter_problems,
    network_problems,
    qmp_directory_problems,
    rights_problems,
    shared_qmp_directory,
    tpm_secret_problems,
)
from .run_context import RunContext
from .volume_work import VolumeWork
from .volumes import storage_problems


@dataclass(frozen=True)
class Change:
    """The planned change of a VM. C(definition): its definition with the desired values set in it."""

    vm: Vm
    desired: DesiredDomain
    definition: etree._Element
    observed: ObservedVm
    facts: StorageFacts
    overlays: Overlays
    work: VolumeWork
    plan: Plan
    use: Use


def check(run: RunContext, change: Change) -> Conflicts:
    """Return what prevents the change, and what to warn of."""
    vm, uses = change.vm, change.use.starts or change.use.attaches
    problems = [
        *(_problems_of_use(run, change) if uses else ()),
        *change.work.problems,
        *backup_problems(BACKUP_DIRECTORY, change.plan.actions, run.system),
    ]
    warnings = memory_warnings(vm, run.free_memory) if uses else []
    is_defined = any(action.name == "define" for action in change.plan.definition)
    if is_defined and not uses:
        # Who starts it may have more rights
        missing = [problem for problem in _missing(run, change) if problem.code != "needs_root"]
        warnings += ["the VM will not start again before this is corrected: %s" % (each,) for each in missing]
    definition = change.definition if is_defined else change.observed.inactive
    conflicts = find_conflicts(vm, definition, change.observed, change.use, run.system, run.others)
    return Conflicts([*problems, *conflicts.problems], [*warnings, *conflicts.warnings])


def _problems_of_use(run: RunContext, change: Change) -> list[Problem]:
    """Return what a VM lacks that starts, or gets devices while it runs."""
    vm = change.vm
    return [
        *_missing(run, change),
        *daemon_problems(vm, run.missing_daemons),
        *rights_problems(vm, run.system, run.host.capabilities.qemu_owner),
        *qmp_directory_problems(vm, run.system, run.host.capabilities.qemu_owner),
        *secret_conflicts(vm, change.facts, run.hypervisor),
        *tpm_secret_problems(vm, run.hypervisor),
    ]


def _missing(run: RunContext, change: Change) -> list[Problem]:
    """Return what the devices of a VM need and the hypervisor doesn't have."""
    vm = change.vm
    return [
        *missing_explained(change.desired.missing, vm, run.system),
        *change.work.unexplained(storage_problems(run, vm, change.facts, change.overlays)),
        *host_problems(vm, run.system),
        *network_problems(vm, run.networks),
        *network_filter_problems(vm, run.network_filters),
    ]


def preparations(run: RunContext, vm: Vm, facts: StorageFacts) -> list[Action]:
    """Return the actions that a VM needs before it starts or gets devices."""
    owner = run.host.capabilities.qemu_owner
    return [
        *prepare_storage(vm, facts, run.system, run.hypervisor),
        *(CreateChannelDirectory(path, owner) for path in missing_channel_directories(vm, run.system)),
        *(RestrictQmpDirectory(path, owner) for path in shared_qmp_directory(vm, run.system, owner)),
        *(CreateNvramDirectory(path, owner) for path in missing_nvram_directory(vm, run.system)),
    ]
