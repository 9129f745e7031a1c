# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's information about the hypervisor itself."""

from __future__ import annotations

from typing import Optional

from .._errors.errors import VmError
from .binding import libvirt
from .connection import Connection


class HostCalls(Connection):
    """Queries about the hypervisor."""

    def capabilities(self) -> str:
        """Return the capabilities of the hypervisor as XML."""
        return str(self._call_libvirt("get the capabilities", self._connection.getCapabilities))

    def domain_capabilities(
        self, emulator: Optional[str], arch: Optional[str], machine: Optional[str], domain_type: Optional[str]
    ) -> str:
        """Return the domain capabilities of one kind of domain as XML."""
        ask = self._connection.getDomainCapabilities
        return str(self._call_libvirt("get the domain capabilities", ask, emulator, arch, machine, domain_type))

    def free_memory(self) -> int:
        """Return the free memory in bytes."""
        return int(self._call_libvirt("get the free memory", self._connection.getFreeMemory))

    def cpu_count(self) -> int:
        """Return the CPUs of the hypervisor."""
        return int(self._call_libvirt("get the CPUs", self._connection.getInfo)[2])

    def memory_size(self) -> int:
        """Return the memory of the hypervisor in bytes."""
        return int(self._call_libvirt("get the memory", self._connection.getInfo)[1]) * 1024**2

    def hostname(self) -> str:
        """Return the host name of the hypervisor."""
        return str(self._call_libvirt("get the host name", self._connection.getHostname))

    def libvirt_version(self) -> str:
        """Return the version of the libvirt that answers."""
        return _version(self._call_libvirt("get the version of libvirt", self._connection.getLibVersion))

    def qemu_version(self) -> str:
        """Return the version of the QEMU that domains of the hypervisor's own architecture get; empty without one."""
        return _version(self._call_libvirt("get the version of QEMU", self._connection.getVersion))

    def network_filters(self) -> list[str]:
        """Return the names of the network filters that NICs can have."""
        return list(self._call_libvirt("list the network filters", self._connection.listNWFilters))

    def networks(self) -> dict[str, bool]:
        """Return the names of the libvirt networks, and whether each is active."""
        networks = self._call_libvirt("list the networks", self._connection.listAllNetworks, 0)
        return {network.name(): bool(self._call_libvirt("look at a network", network.isActive)) for network in networks}

    def storage_volume_xml(self, path: str) -> Optional[str]:
        """Return the XML of a file in one of libvirt's storage pools, None if no pool contains it."""
        try:
            volume = self._call_libvirt("look up the volume", self._connection.storageVolLookupByPath, path)
        except VmError as error:
            if error.libvirt_code == libvirt.VIR_ERR_NO_STORAGE_VOL:
                return None
            raise
        return str(self._call_libvirt("read the volume", volume.XMLDesc))


def _version(number: int) -> str:
    return "%d.%d.%d" % (number // 1000000, number // 1000 % 1000, number % 1000) if number else ""
