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

# Elements of a domain by their parents, and the options that decide about them. Existing ones stay if all are omitted.
_DECIDED_BY: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    ".": {"iothreads": ("io_threads",), "iothreadids": ("io_threads",), "sysinfo": ("smbios",)},
    "cputune": {
        "iothreadpin": ("io_threads",),
        "period": ("cpu_quota",),
        "quota": ("cpu_quota",),
        "vcpupin": ("cpu_pinning",),
        "emulatorpin": ("emulator_pinning", "cpu_pinning"),
    },
    "memoryBacking": {
        "hugepages": ("huge_pages",),
        "allocation": ("huge_pages",),
        "nosharepages": ("huge_pages", "no_share_pages"),
        "access": ("memory_access",),
    },
    "os": {"smbios": ("smbios",)},
    "features": {"hyperv": ("emulate_hyperv",), "pmu": ("pmu",), "vmport": ("vm_port_off",)},
    "pm": {"suspend-to-mem": ("suspend_to_ram",), "suspend-to-disk": ("suspend_to_disk",)},
    # An IOMMU is that of a VM with many CPUs; no option decides about it alone.
    "devices": {"panic": ("panic_devices",), "shmem": ("shared_memory",), "iommu": ()},
    "devices/graphics[@type='spice']": {"channel": ("spice_secure_channels",)},
}
# What may be omitted of a disk and of a NIC, and of a disk as long as it is the same image.
_OF_DRIVERS = ("discard", "queues", "iothread")
_OF_DISKS = frozenset({"serial", "blockio"})
_OF_SOURCES = frozenset({"encryption", "reconnect"})
_OF_NICS = frozenset({"mtu", "port"})
# What libvirt has given a device of the existing domain; another board has other addresses.
_OF_LIBVIRT = ("address", "alias")


def with_omitted(desired: etree._Element, vm: Vm, existing: Optional[etree._Element]) -> etree._Element:
    """Return the desired domain with the existing settings about which no option is given. Nothing is changed."""
    if existing is None or vm.omitted_settings == "remove":
        return desired
    kept = copy.deepcopy(desired)
    for path, decided_by in _DECIDED_BY.items():
        theirs = existing.find(path)
        if theirs is not None:
            tags = frozenset(tag for tag, options in decided_by.items() if vm.omitted.issuperset(options))
            _keep_below(kept, path, theirs, tags)
    for disk, other in _pairs(kept, existing, "devices/disk"):
        if _is_the_same_kind(disk, other, "vhostuser") and disk.get("device") == other.get("device"):
            _keep_of_disk(disk, other)
    for nic, other in _pairs(kept, existing, "devices/interface"):
        if _is_the_same_kind(nic, other, "hostdev"):
            _keep_children(nic, other, _OF_NICS)
    return kept


def _keep_below(kept: etree._Element, path: str, existing: etree._Element, tags: frozenset[str]) -> None:
    """Keep children of an element, which is added if it is a child of the domain. A device is not added."""
    parent = kept.find(path)
    if parent is None and "/" not in path and any(each.tag in tags for each in existing):
        parent = etree.SubElement(kept, path)
    if parent is not None:
        _keep_children(parent, existing, tags)


def _keep_of_disk(disk: etree._Element, existing: etree._Element) -> None:
    _keep_attributes(disk.find("driver"), existing.find("driver"), _OF_DRIVERS)
    _keep_children(disk, existing, _OF_DISKS)
    image = DISK_SOURCE.of(disk)
    if image is not None and image == DISK_SOURCE.of(existing):
        _keep_attributes(disk, existing, ("sgio",))
        _keep_children(disk.find("source"), existing.find("source"), _OF_SOURCES)


def _pairs(
    desired: etree._Element, existing: etree._Element, path: str
) -> Iterable[tuple[etree._Element, etree._Element]]:
    return partners_of(RULES[path], desired.findall(path), existing.findall(path)).items()


def _is_the_same_kind(desired: etree._Element, existing: etree._Element, kind: str) -> bool:
    """Return whether both devices are of the kind, or neither is: it has settings of its own."""
    return (desired.get("type") == kind) == (existing.get("type") == kind)


def _keep_children(desired: etree._Element, existing: etree._Element, tags: frozenset[str]) -> None:
    """Keep the children with these tags, unless children with the same tag are desired."""
    theirs = [each for each in existing if each.tag in tags]
    if theirs:
        decided = {each.tag for each in desired}
        desired.extend(_as_desired(each) for each in theirs if each.tag not in decided)


def _keep_attributes(
    desired: Optional[etree._Element], existing: Optional[etree._Element], names: Iterable[str]
) -> None:
    if desired is None or existing is None:
        return
    for name in names:
        value = existing.get(name)
        if value and not desired.get(name):
            desired.set(name, value)


def _as_desired(element: etree._Element) -> etree._Element:
    desired = copy.deepcopy(element)
    for part in [each for each in desired if each.tag in _OF_LIBVIRT]:
        desired.remove(part)
    return desired
