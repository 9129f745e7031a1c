# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what operators have set where a VM's options say nothing about it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._spec.vm import Vm
from .identity import DISK_SOURCE
from .rules import RULES
from .walk import partners_of

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
    # Of a VM with many CPUs; no option decides about it alone.
    "devices/iommu": (),
}
# What may be omitted of a disk and of a NIC, and of a disk as long as it is the same image.
_OF_DISKS = ("driver/@discard", "driver/@queues", "driver/@iothread", "serial", "blockio")
_OF_SOURCES = ("./@sgio", "source/encryption", "source/reconnect")
_OF_NICS = ("mtu", "port")
# What libvirt has given a device of the existing domain; another board has other addresses.
_OF_LIBVIRT = ("address", "alias")


def with_omitted(desired: etree._Element, vm: Vm, existing: Optional[etree._Element]) -> etree._Element:
    """Return the desired domain with the existing settings about which no option is given. Nothing is changed."""
    if existing is None or vm.omitted_settings == "remove":
        return desired
    kept = copy.deepcopy(desired)
    for path, options in _DECIDED_BY.items():
        if vm.omitted.issuperset(options) and kept.find(path) is None:
            _keep_elements(kept, existing, path)
    for disk, other in _pairs(kept, existing, "devices/disk"):
        if _is_the_same_kind(disk, other, "vhostuser") and disk.get("device") == other.get("device"):
            _keep_parts(disk, other, _OF_DISKS)
            if DISK_SOURCE.of(disk) == DISK_SOURCE.of(other):
                _keep_parts(disk, other, _OF_SOURCES)
    for nic, other in _pairs(kept, existing, "devices/interface"):
        if _is_the_same_kind(nic, other, "hostdev"):
            _keep_parts(nic, other, _OF_NICS)
    return kept


def _keep_elements(kept: etree._Element, existing: etree._Element, path: str) -> None:
    elements = existing.findall(path)
    parent = _parent(kept, path) if elements else None
    if parent is not None:
        parent.extend(_as_desired(each) for each in elements)


def _pairs(
    desired: etree._Element, existing: etree._Element, path: str
) -> Iterable[tuple[etree._Element, etree._Element]]:
    return partners_of(RULES[path], desired.findall(path), existing.findall(path)).items()


def _is_the_same_kind(desired: etree._Element, existing: etree._Element, kind: str) -> bool:
    """Return whether both devices are of the kind, or neither is: it has settings of its own."""
    return (desired.get("type") == kind) == (existing.get("type") == kind)


def _keep_parts(desired: etree._Element, existing: etree._Element, paths: Iterable[str]) -> None:
    for path in paths:
        element, attribute = path.split("/@") if "/@" in path else (path, "")
        found, wanted = existing.find(element), desired.find(element)
        if found is None:
            continue
        if not attribute and wanted is None:
            _keep_elements(desired, existing, element)
        elif attribute and wanted is not None and found.get(attribute) and not wanted.get(attribute):
            wanted.set(attribute, found.get(attribute))


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
