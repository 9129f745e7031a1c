# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the storage of VMs, and the actions that prepare it before they start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .._actions.action import Action
from .._errors.errors import Problem
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Vm
from .._storage.backends import backend_of
from .._storage.base import StorageFacts, StorageItem
from .iscsi_login import plan_logins
from .reachability import ItemOfVm, find_problems
from .secrets import plan_secrets

if TYPE_CHECKING:
    from .._host.system import System


def preflight(vms: Sequence[Vm], system: System, hypervisor: Hypervisor) -> list[Problem]:
    """Return why volumes and CDs of VMs to start cannot be reached; ask each server and image once."""
    items = [ItemOfVm(vm, item, backend_of(item)) for vm in vms for item in _items_of(vm)]
    return find_problems(items, system, hypervisor)


def prepare(vm: Vm, facts: StorageFacts, system: System, hypervisor: Hypervisor) -> list[Action]:
    """Return the storage actions between the definition of a VM and its start."""
    return [*plan_secrets(vm, facts, hypervisor), *plan_logins(vm)]


def _items_of(vm: Vm) -> Iterator[StorageItem]:
    yield from vm.volumes
    yield from vm.cds
