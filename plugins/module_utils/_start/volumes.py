# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the volumes of a VM: the overlays on top of them, missing images, block jobs on its disks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._domain.build import DesiredDomain
from .._errors.errors import Problem, VmError, VmProblems
from .._host_storage.overlays import (
    ImageReader,
    Overlays,
    chain_problems,
    discard_problems,
    disk_targets,
    find_overlays,
    moved_volumes,
    with_overlays,
)
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import ObservedVm
from .._spec.vm import Vm, Volume
from .._storage import backends
from .._storage.base import StorageFacts
from .._storage.image_chain import source_image
from .plan import Plan, touched_disks
from .run_context import RunContext


def keep_overlays(
    run: RunContext,
    vm: Vm,
    facts: StorageFacts,
    desired: etree._Element,
    existing: Optional[etree._Element],
    live: Optional[etree._Element],
) -> Overlays:
    """Return the overlays to keep. Raise VmProblems if they are to be discarded and can't be."""
    reader = ImageReader(run.system, run.hypervisor, vm.uuid)
    overlays = find_overlays(desired, existing, live, reader)
    if run.policy.overlays == "keep":
        return overlays
    problems = discard_problems(vm, _volumes_by_image(vm, facts), overlays, live, reader)
    if problems:
        raise VmProblems(problems)
    return Overlays()


def move_warnings(run: RunContext, vm: Vm, desired: etree._Element, existing: Optional[etree._Element]) -> list[str]:
    """Return warnings about disks that get an image unrelated to their own: a completed block copy looks like that."""
    if existing is None or run.policy.overlays == "discard":
        return []
    message = (
        "the disk %s changes from %s to %s, and neither is in the backing chain of the other: the guest loses what "
        "it has written. If a block copy or a migration of storage was completed, set install_path to %s"
    )
    real_path = ImageReader(run.system, run.hypervisor, vm.uuid).real_path
    return [
        message % (target, now, image, now)
        for target, now, image in moved_volumes(desired, existing)
        if real_path(now) != real_path(image)
    ]


def on_overlays(desired: DesiredDomain, overlays: Mapping[str, etree._Element]) -> DesiredDomain:
    """Return the domain with overlays instead of the images below them. Nothing is changed."""
    unpatched = None if desired.unpatched is None else with_overlays(desired.unpatched, overlays)
    return desired._replace(element=with_overlays(desired.element, overlays), unpatched=unpatched)


def storage_problems(run: RunContext, vm: Vm, facts: StorageFacts, overlays: Overlays) -> list[Problem]:
    """Return the problems of a VM's images. For a missing one, name the image that refers to it."""
    chains = chain_problems(_volumes_by_image(vm, facts), facts.formats, overlays, run.system)
    known = {(problem.option_path, problem.code) for problem in chains}
    return [*chains, *(each for each in run.storage_problems(vm) if (each.option_path, each.code) not in known)]


def _volumes_by_image(vm: Vm, facts: StorageFacts) -> dict[str, Volume]:
    return {str(source_image(backends.disk(volume, facts).source)): volume for volume in vm.volumes}


def check_block_jobs(hypervisor: Hypervisor, vm: Vm, observed: ObservedVm, plan: Plan) -> None:
    """Raise C(vm_busy) for a disk that a plan would change or stop while it is copied, committed or pulled."""
    touched = touched_disks(plan)
    if observed.live_xml is None or (touched is not None and not touched):
        return
    targets = [each for each in disk_targets(etree.fromstring(observed.live_xml)) if touched is None or each in touched]
    try:
        busy = next((target for target in targets if hypervisor.has_block_job(vm.uuid, target)), None)
    except VmError as error:
        if error.code != "qemu_hangs":
            raise
        # Such a VM does nothing, and may have to be forced off for a restart.
        return
    if busy is not None:
        message = "the disk %s is being copied, committed or pulled" % busy
        raise VmError("vm_busy", message, 'Wait until the block job is done ("virsh blockjob"), or end it.')
