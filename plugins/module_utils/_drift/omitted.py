# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what operators have set where a VM's options say nothing about it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._spec.vm import Vm

# Elements of a domain, and the options that decide about them: with all of these omitted, existing ones stay.
_DECIDED_BY: Mapping[str, tuple[str, ...]] = {
    "iothreads": ("io_threads",),
    "iothreadids": ("io_threads",),
    "cputune/iothreadpin": ("io_threads",),
    "cputune/period": ("cpu_quota",),
    "cputune/quota": ("cpu_quota",),
    "cputune/vcpupin": ("cpu_pinning",),
    "cputune/emulatorpin": ("emulator_pinning", "cpu_pinning"),
    "memoryBacking/hugepages": ("huge_pages",),
    "memoryBacking/allocation": ("huge_pages",),
    "memoryBacking/nosharepages": ("huge_pages", "no_share_pages"),
    "memoryBacking/access": ("memory_access",),
    "sysinfo": ("smbios",),
    "os/smbios": ("smbios",),
    "features/hyperv": ("emulate_hyperv",),
    "features/pmu": ("pmu",),
    "features/vmport": ("vm_port_off",),
    "pm/suspend-to-mem": ("suspend_to_ram",),
    "pm/suspend-to-disk": ("suspend_to_disk",),
    "devices/panic": ("panic_devices",),
    "devices/shmem": ("shared_memory",),
    "devices/graphics[@type='spice']/channel": ("spice_secure_channels",),
}
# What libvirt has given a device of the existing domain; another board has other addresses.
_OF_LIBVIRT = ("address", "alias")


def with_omitted(desired: etree._Element, vm: Vm, existing: Optional[etree._Element]) -> etree._Element:
    """Return the desired domain with the existing elements about which no option is given. Nothing is changed."""
    if existing is None:
        return desired
    theirs = [
        (path, existing.findall(path))
        for path, options in _DECIDED_BY.items()
        if vm.omitted.issuperset(options) and existing.find(path) is not None and desired.find(path) is None
    ]
    if not theirs:
        return desired
    kept = copy.deepcopy(desired)
    for path, elements in theirs:
        parent = _parent(kept, path)
        if parent is not None:
            parent.extend(_as_desired(each) for each in elements)
    return kept


def _as_desired(element: etree._Element) -> etree._Element:
    desired = copy.deepcopy(element)
    for part in [each for each in desired if each.tag in _OF_LIBVIRT]:
        desired.remove(part)
    return desired


def _parent(domain: etree._Element, path: str) -> Optional[etree._Element]:
    """Return the element to which one with this path belongs. A device that the domain does not have is not added."""
    name = path.rpartition("/")[0]
    if not name:
        return domain
    parent = domain.find(name)
    return etree.SubElement(domain, name) if parent is None and "/" not in name else parent
