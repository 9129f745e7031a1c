# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VMs share on a hypervisor: who else uses a secret or a session, and one at a time at it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

from .._errors.errors import VmError
from .._host.lock import HostLock
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import has_text

if TYPE_CHECKING:
    from .._host.system import System
    from .context import ActionContext

LOCK_SECONDS = 120

_NAMES = uuid.UUID("0c0f8a35-2f5d-5a3b-8f4e-5b8f1c0d7a21")


def shared_name(name: str) -> str:
    """The name for files about a thing that VMs share."""
    return "shared-%s" % uuid.uuid5(_NAMES, name)


def shared_lock(system: System, name: str, label: str) -> HostLock:
    """Wait for the lock of what VMs share, by its name; C(label) is what messages call it. Use it with C(with)."""
    return system.shared_lock(shared_name(name), label).acquire(LOCK_SECONDS)


def secret_lock(system: System, uuid: str) -> HostLock:
    """Wait for the lock of a secret of libvirt."""
    return shared_lock(system, uuid, "the secret %s" % uuid)


def used_by_another(context: ActionContext, text: str) -> bool:
    """Whether the definition of a domain other than the context's VM, or what runs of it, has the text."""
    return used_by_other_than((context.vm.uuid,), text, context.hypervisor)


def used_by_other_than(vm_uuids: Collection[str], text: str, hypervisor: Hypervisor) -> bool:
    """The same of VMs of which only the UUIDs are known."""
    for domain in hypervisor.list_domains():
        if domain.uuid in vm_uuids:
            continue
        try:
            if any(has_text(hypervisor.xml(domain.uuid, inactive), text) for inactive in (True, False)):
                return True
        except VmError as error:
            if error.code != "domain_gone":
                raise
    return False
