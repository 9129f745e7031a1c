# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that VMs share on a hypervisor, such as secrets and sessions: their other users, and their locks."""

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
    """Return the name for files about an object that VMs share."""
    return "shared-%s" % uuid.uuid5(_NAMES, name)


def shared_lock(system: System, name: str, label: str) -> HostLock:
    """Acquire the lock of a shared object by its name; C(label) names it in messages. Use it with C(with)."""
    return system.shared_lock(shared_name(name), label).acquire(LOCK_SECONDS)


def secret_lock(system: System, uuid: str) -> HostLock:
    """Acquire the lock of a libvirt secret."""
    return shared_lock(system, uuid, "the secret %s" % uuid)


def used_by_another(context: ActionContext, text: str) -> bool:
    """Return whether the definition or the live XML of a domain other than the context's VM has the text."""
    return used_by_other_than((context.vm.uuid,), text, context.hypervisor)


def used_by_other_than(vm_uuids: Collection[str], text: str, hypervisor: Hypervisor) -> bool:
    """Return whether the definition or the live XML of a domain other than these has the text, or may have it."""
    for domain in hypervisor.list_domains():
        if domain.uuid in vm_uuids:
            continue
        try:
            if any(has_text(hypervisor.xml(domain.uuid, inactive), text) for inactive in (True, False)):
                return True
        except VmError as error:
            if error.code == "qemu_hangs":
                return True
            if error.code != "domain_gone":
                raise
    return False
