# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor apart from libvirt: its files, processes, network, devices and locks.

Everything that reads or changes them goes through here. C(HostSystem) is the machine that the code runs on; with
another C(root) it is a tree that looks like one (sysfs in tests). C(RemoteSystem) stands for a hypervisor that is
reached through libvirt only: it has none of this, and says so by C(needs_hypervisor).
"""

from __future__ import annotations

import os
from typing import Literal, Union
from urllib.parse import urlsplit

from .._errors.errors import VmError
from .devices import Devices
from .files import Files
from .lock import HostLock, vm_lock
from .network import Network
from .processes import Processes


class HostSystem:
    """The machine that the code runs on, or a simulated tree below C(root)."""

    is_remote: Literal[False] = False

    def __init__(self, root: str = "/") -> None:
        self.files = Files(root)
        self.processes = Processes(self.files)
        self.network = Network(self.files)
        self.devices = Devices(self.files)

    def is_root(self) -> bool:
        """Return whether this process may do everything on the hypervisor."""
        return os.geteuid() == 0

    def lock(self, uuid: str) -> HostLock:
        """Return the lock of one VM on this hypervisor."""
        return vm_lock(uuid)

    def shared_lock(self, name: str, label: str) -> HostLock:
        """Return the lock of what VMs share on this hypervisor; C(label) names it in messages."""
        return HostLock(name, label, "shared_locked")


class RemoteSystem:
    """A hypervisor that is reached through libvirt only. It has locks; the rest can't be asked."""

    is_remote: Literal[True] = True

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @property
    def files(self) -> Files:
        """Raise C(needs_hypervisor)."""
        raise self._out_of_reach("files")

    @property
    def processes(self) -> Processes:
        """Raise C(needs_hypervisor)."""
        raise self._out_of_reach("programs")

    @property
    def network(self) -> Network:
        """Raise C(needs_hypervisor)."""
        raise self._out_of_reach("network")

    @property
    def devices(self) -> Devices:
        """Raise C(needs_hypervisor)."""
        raise self._out_of_reach("devices")

    def lock(self, uuid: str) -> HostLock:
        """Return a lock among the tasks of the machine that connects; against others, only libvirt itself protects."""
        return vm_lock(uuid)

    def shared_lock(self, name: str, label: str) -> HostLock:
        """Return the same of what VMs share."""
        return HostLock(name, label, "shared_locked")

    def _out_of_reach(self, what: str) -> VmError:
        message = "this VM needs the %s of the hypervisor itself, but it is reached by %s"
        return VmError("needs_hypervisor", message % (what, self._uri))


System = Union[HostSystem, RemoteSystem]


def system_of(uri: str) -> System:
    """Return the system that a libvirt URI leads to: this machine where the URI names no host."""
    return RemoteSystem(uri) if urlsplit(uri).netloc else HostSystem()
