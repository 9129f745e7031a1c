# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(shmem): memory that the guest shares with others."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


def add_shmem_devices(devices: etree._Element, context: BuildContext) -> None:
    """Add the shared memory, each a PCI device of the guest. Its size is in MiB, as libvirt writes it."""
    for device in context.vm.shmem_devices:
        element = add(devices, "shmem", name=device.name)
        add(element, "model", type="ivshmem-plain")
        add(element, "size", str(device.size >> 20), unit="M")
