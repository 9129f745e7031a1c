# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(memory), C(currentMemory) and C(maxMemory): the memory, and how far it can grow while the VM runs."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add

# ZStack's limit and number of DIMMs.
_MAX_KIB = 64 << 30


_SLOTS = 16


# An emulated CPU has 40 address bits on x86, 44 on aarch64 (cortex-a57). QEMU reserves part of that space for itself
# and for the alignment of the slots.
_EMULATED_ADDRESS_BITS = {"x86_64": 40, "aarch64": 44}


_KEPT_KIB = 64 << 20


# Of the guest's addresses on aarch64: ZStack's share for memory.
_USABLE_PART = 16


def memory_kib(context: BuildContext) -> int:
    """Return the VM's memory in KiB."""
    return context.vm.memory >> 10


def add_memory(domain: etree._Element, context: BuildContext) -> None:
    """Add the memory; with online growth the NUMA cell (see cpu) holds it."""
    kib = memory_kib(context)
    if context.vm.use_numa:
        add(domain, "maxMemory", str(max(kib, _max_kib(context))), slots=str(_SLOTS), unit="KiB")
    else:
        add(domain, "memory", str(kib), unit="KiB")
    add(domain, "currentMemory", str(kib), unit="KiB")


def add_memory_backing(domain: etree._Element, context: BuildContext) -> None:
    """Add what the hypervisor does with the guest's memory."""
    vm = context.vm
    backing = etree.Element("memoryBacking")
    if vm.huge_pages:
        add(backing, "hugepages")
    if vm.huge_pages or vm.no_share_pages:
        add(backing, "nosharepages")
    if vm.memory_access == "shared":
        add(backing, "access", mode="shared")
    if vm.huge_pages:
        add(backing, "allocation", mode="immediate")
    if len(backing):
        domain.append(backing)


def _max_kib(context: BuildContext) -> int:
    """Return how far the memory can grow: as far as the VM's limit and the CPU's addresses go."""
    vm, addressable = context.vm, _addressable_kib(context)
    if vm.max_memory is None:
        return addressable
    if context.is_aarch64 and not context.is_emulated and context.host.address_bits:
        addressable = (1 << (context.host.address_bits - 10)) // _USABLE_PART
    return min(vm.max_memory >> 10, addressable)


def _addressable_kib(context: BuildContext) -> int:
    bits = _EMULATED_ADDRESS_BITS.get(context.kind.arch) if context.is_emulated else None
    return (1 << (bits - 10)) - _KEPT_KIB if bits else _MAX_KIB
