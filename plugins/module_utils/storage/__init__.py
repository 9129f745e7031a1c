# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the data of volumes and CDs lies. A new backend is a file of its own and a line in C(BACKENDS)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..action import Action
from ..errors import Problem
from ..hypervisor import Hypervisor
from ..vm import Cdrom, Vm, Volume
from . import host_initiator, vm_secrets
from .base import Backend, DiskSource, StorageFacts, StorageItem
from .ceph import CephBackend
from .file import FileBackend
from .fusionstor import FusionstorBackend
from .image_chain import source_image
from .iscsi import IscsiBackend, check_passwords
from .reachability import WantedItem, find_problems
from .storage_facts import facts
from .vm_secrets import secret_conflicts

if TYPE_CHECKING:
    from ..context import Executor, System

BACKENDS: Mapping[str, Backend] = {
    "file": FileBackend(),
    "ceph": CephBackend(),
    "iscsi": IscsiBackend(),
    "fusionstor": FusionstorBackend(),
}

# How the actions that L(prepare) plans are done.
EXECUTORS: Mapping[str, Executor] = {
    "define_secret": vm_secrets.set_secret,
    "set_secret_value": vm_secrets.set_secret,
    "log_in_to_iscsi_target": host_initiator.log_in,
}

_CD_BACKENDS = ("ceph", "fusionstor")


def backend_of(item: StorageItem) -> Backend:
    """A volume's backend by its device_type, a CD's by how its path begins."""
    if isinstance(item, Cdrom):
        for name in _CD_BACKENDS:
            if item.path.startswith(BACKENDS[name].scheme):
                return BACKENDS[name]
        return BACKENDS["file"]
    return BACKENDS[item.device_type]


def check(item: StorageItem) -> list[Problem]:
    """What is wrong with one volume or CD as it is written."""
    return backend_of(item).check(item)


def check_together(volumes: Iterable[Volume]) -> list[Problem]:
    """What is wrong between the volumes of all VMs of a task."""
    return check_passwords(volumes)


def disk(item: StorageItem, facts: StorageFacts) -> DiskSource:
    """Where the data of a volume or CD lies, in libvirt's words."""
    return backend_of(item).disk(item, facts)


def volumes_by_image(vm: Vm, facts: StorageFacts) -> dict[str, Volume]:
    """The volumes of a VM by the images that they name, called as C(image_chain) calls them."""
    return {str(source_image(disk(volume, facts).source)): volume for volume in vm.volumes}


def preflight(vms: Sequence[Vm], system: System, hypervisor: Hypervisor) -> list[Problem]:
    """Why the volumes and CDs of VMs that are to start can't be reached; each server and image is asked once."""
    wanted = [WantedItem(vm, item, backend_of(item)) for vm in vms for item in _items_of(vm)]
    return find_problems(wanted, system, hypervisor)


def prepare(vm: Vm, facts: StorageFacts, system: System, hypervisor: Hypervisor) -> list[Action]:
    """What has to be done between the definition of a VM and its start."""
    return [*vm_secrets.plan_secrets(vm, facts, hypervisor), *host_initiator.plan_logins(vm)]


def _items_of(vm: Vm) -> Iterator[StorageItem]:
    yield from vm.volumes
    yield from vm.boot_iso


__all__ = [
    "BACKENDS",
    "EXECUTORS",
    "Backend",
    "DiskSource",
    "StorageFacts",
    "StorageItem",
    "backend_of",
    "check",
    "check_together",
    "disk",
    "facts",
    "preflight",
    "prepare",
    "secret_conflicts",
    "volumes_by_image",
]
