# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the volumes of a VM with what their options would create."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._drift.walk import Difference
from .._errors.errors import Problem
from .._host_storage.overlays import Overlays
from .._host_storage.volume_actions import CreateVolume, GrowVolume
from .._host_storage.volume_store import VolumeStore, Written
from .._spec.vm import Vm, Volume, VolumeCreation
from .._storage import backends
from .._storage.base import StorageFacts, option_path_of
from .._storage.found_volume import VolumeDifference, compare, explain, written_image_problem
from .._storage.image_chain import chain_of, disk_image, source_image
from .run_context import RunContext
from .volume_work import VolumeWork

_NOT_CREATED = "%s does not exist, and is not created because %s: what a guest has written to it may be somewhere else"
_HINT = (
    "Mount the storage, or restore the volume. To start with a new volume, undefine the VM (zstack_vm_stop with "
    "undefine: true) and run the task again."
)


@dataclass(frozen=True)
class Domains:
    """The domains of a VM: as desired, as defined, as running. C(overlays): of its volumes."""

    desired: etree._Element
    existing: Optional[etree._Element]
    live: Optional[etree._Element]
    overlays: Overlays

    def images(self) -> set[str]:
        """Return the images that the definition and the running VM have."""
        domains = [domain for domain in (self.existing, self.live) if domain is not None]
        return {link.image for domain in domains for disk in domain.iterfind("devices/disk") for link in chain_of(disk)}


def volume_work(run: RunContext, vm: Vm, facts: StorageFacts, domains: Domains) -> VolumeWork:
    """Compare the volumes of a VM with what their options would create."""
    work = VolumeWork()
    for volume in vm.volumes:
        if volume.create is not None:
            _look_at(run, vm, volume, volume.create, facts, domains, work)
    return work


def _look_at(
    run: RunContext,
    vm: Vm,
    volume: Volume,
    create: VolumeCreation,
    facts: StorageFacts,
    domains: Domains,
    work: VolumeWork,
) -> None:
    image = str(source_image(backends.disk(volume, facts).source))
    owner = _owner(vm, image, domains)
    if run.volume_stores is None:
        if not owner:
            message = "a volume can be created only on the hypervisor itself"
            work.problems.append(Problem(create.option_path, message, "needs_hypervisor"))
        return
    store = run.volume_stores.of(volume)
    # Another VM of the task may have created it since the storage was checked.
    work.explained.add(option_path_of(volume))
    if not store.is_missing(volume):
        _compare(store, volume, create, image, domains, work)
        return
    if owner:
        message = _NOT_CREATED % (volume.install_path, owner)
        work.problems.append(Problem(option_path_of(volume), message, "image_missing", _HINT))
        return
    work.creations.append(CreateVolume(volume, create, store, image))
    work.problems += store.problems(volume, create)
    if create.linked and volume.device_type == "file":
        work.problems += _writers(run, vm, create)


def _owner(vm: Vm, image: str, domains: Domains) -> str:
    """Return what shows that the volume of a VM must exist, empty if nothing does."""
    if image in domains.images():
        return "the VM's definition already has it"
    return "the VM is restored from a memory snapshot" if vm.memory_snapshot else ""


def _writers(run: RunContext, vm: Vm, create: VolumeCreation) -> Iterator[Problem]:
    """Yield the domain that writes to an image, whose clones this would destroy."""
    holder = run.others.writer_of(str(create.image), vm.uuid, run.system.files.real_path)
    if holder is not None:
        yield written_image_problem(create, holder)


def _compare(
    store: VolumeStore, volume: Volume, create: VolumeCreation, image: str, domains: Domains, work: VolumeWork
) -> None:
    volume_format = volume.format or "raw"
    disk = domains.overlays.live.get(image, domains.overlays.defined.get(image))
    own = Written(image, volume_format)
    written = own if disk is None else _written(disk, volume_format)
    original, found = store.find(volume, own), store.find(volume, written)
    if original is None or found is None:
        return
    target = _target_of(written.image, domains.live)
    name = target or _target_of(image, domains.desired) or _target_of(written.image, domains.desired)
    for difference in compare(create, found, original, store.canonical):
        shown = _as_difference(difference, name)
        work.differences.append(shown)
        if difference.grows:
            work.growing.append(shown)
            work.growths.append(GrowVolume(volume, written, int(str(create.size)), target, store))
        else:
            work.warnings.append(explain(volume.install_path, difference))


def _written(disk: etree._Element, default: str) -> Written:
    link = chain_of(disk)[0]
    return Written(link.image, link.format or default)


def _target_of(image: str, domain: Optional[etree._Element]) -> Optional[str]:
    for disk in domain.iterfind("devices/disk") if domain is not None else ():
        target = disk.find("target")
        if target is not None and disk_image(disk) == image:
            return str(target.get("dev"))
    return None


def _as_difference(difference: VolumeDifference, target: Optional[str]) -> Difference:
    return Difference("devices/disk[target=%s]/%s" % (target, difference.part), difference.before, difference.after)
