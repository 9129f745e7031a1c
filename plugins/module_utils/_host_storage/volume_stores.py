# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stores of the volumes that can be created, by type of storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Optional

from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Vm, Volume
from .ceph_volumes import CephVolumes
from .file_volumes import FileVolumes
from .reachability import SecretValues
from .volume_store import VolumeStore

if TYPE_CHECKING:
    from .._host.system import HostSystem


class VolumeStores:
    """The stores of a hypervisor. C(owner): user and group that QEMU runs as. C(vms) may have cephx keys."""

    def __init__(
        self, system: HostSystem, hypervisor: Hypervisor, owner: Optional[tuple[int, int]], vms: Sequence[Vm] = ()
    ) -> None:
        self._stores: Mapping[str, VolumeStore] = {
            "file": FileVolumes(system, owner),
            "ceph": CephVolumes(system, SecretValues(vms, hypervisor)),
        }

    def of(self, volume: Volume) -> VolumeStore:
        """Return the store of a volume whose options have been validated."""
        return self._stores[volume.device_type]
