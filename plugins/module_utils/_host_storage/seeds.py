# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud-init seed of a VM on its hypervisor: which one it has, and what is missing to write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.seed import WriteSeed
from .._errors.errors import Problem
from .._host.seed_image import PROGRAMS, program_for_images
from .._spec.vm import Vm
from .._storage.seed import MARK_BYTES, SEED_DIRECTORY, mark_of, seed_number, seed_path, seeds_among

if TYPE_CHECKING:
    from .._host.system import HostSystem, System


@dataclass(frozen=True)
class Seed:
    """C(path): of the desired seed of the VM. C(is_current): the file there has the desired content.

    C(outdated): other seeds of the VM that neither its definition nor its QEMU uses.
    """

    documents: Mapping[str, str]
    path: str
    is_current: bool
    outdated: tuple[str, ...] = ()


def seed_of(
    vm: Vm, existing: Optional[etree._Element], live: Optional[etree._Element], system: System
) -> Optional[Seed]:
    """Return the seed of a VM, None if it has none.

    A seed with another content gets another path: the change is a difference of the domain like any other.
    """
    if vm.cloud_init is None:
        return None
    documents = vm.cloud_init.documents
    if system.is_remote:
        # Raises C(needs_hypervisor).
        return Seed(documents, system.files.root, is_current=False)
    mark = mark_of(documents)
    defined, running = _numbers(vm, existing), _numbers(vm, live)
    number = defined[0] if defined else 1
    is_current = _has_content(vm, number, mark, system)
    is_missing = system.files.entry_kind(seed_path(vm.domain_name, number)) is None
    if not is_current and not is_missing and (defined or running):
        number = max(*defined, *running, number) + 1
        is_current = _has_content(vm, number, mark, system)
    path = seed_path(vm.domain_name, number)
    used = {path, *(seed_path(vm.domain_name, each) for each in (*defined, *running))}
    return Seed(documents, path, is_current, tuple(each for each in _existing(vm, system) if each not in used))


def _numbers(vm: Vm, domain: Optional[etree._Element]) -> list[int]:
    sources = () if domain is None else domain.iterfind("devices/disk/source[@file]")
    numbers = (seed_number(vm.domain_name, source.get("file")) for source in sources)
    return [number for number in numbers if number is not None]


def _has_content(vm: Vm, number: int, mark: str, system: HostSystem) -> bool:
    return system.files.read_tail(seed_path(vm.domain_name, number), MARK_BYTES) == mark


def _existing(vm: Vm, system: HostSystem) -> list[str]:
    return seeds_among(vm.domain_name, system.files.list_directory(SEED_DIRECTORY)) if system.is_root() else []


def seed_action(seed: Seed, owner: Optional[tuple[int, int]]) -> WriteSeed:
    """Return the action that writes the seed. C(owner): the user that QEMU runs as."""
    return WriteSeed(seed.path, seed.documents, owner, seed.outdated)


def seed_problems(vm: Vm, system: System) -> list[Problem]:
    """Return what the hypervisor lacks to write a seed."""
    option_path = "%s.cloud_init" % vm.option_path
    if system.is_remote:
        return []
    if not system.is_root():
        message = "this user may not write the seed to %s" % SEED_DIRECTORY
        return [Problem(option_path, message, "needs_root")]
    if program_for_images(system.processes) is None:
        message = "the hypervisor has none of the programs that can write the seed: %s" % ", ".join(PROGRAMS)
        hint = "install xorriso or genisoimage, or use the role zstack.kvm.host_prerequisites"
        return [Problem(option_path, message, "command_missing", hint)]
    return []
