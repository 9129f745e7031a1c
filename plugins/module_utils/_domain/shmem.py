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

_MIB = 1 << 20


def add_shared_memory(devices: etree._Element, context: BuildContext) -> None:
    """Add the shared memory, each a PCI device of the guest. libvirt wants a power of two, and writes MiB."""
    for device in context.vm.shared_memory:
        element = add(devices, "shmem", name=device.name)
        add(element, "model", type="ivshmem-plain")
        add(element, "size", str(1 << (-(-device.size // _MIB) - 1).bit_length()), unit="M")
