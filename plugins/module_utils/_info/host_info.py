# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather information about a hypervisor: what it is and what it can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from .._errors.errors import VmError
from .._host.capabilities import (
    Capabilities,
    DomainCapabilities,
    DomainKind,
    default_machine,
    offers,
    parse_capabilities,
    parse_domain_capabilities,
)
from .._host.devices import Devices
from .._host.system import System
from .._libvirt.hypervisor import Hypervisor
from .._spec.arguments import VM_ARGUMENT_SPEC

# The machine families that VMs of an architecture can have; a VM that names none gets the first.
_MACHINES = {"x86_64": ("pc", "q35"), "aarch64": ("virt",)}


def host_info(hypervisor: Hypervisor, system: System) -> dict[str, Any]:
    """Return the result of zstack_host_info. What a remote connection can't determine is None."""
    capabilities = parse_capabilities(hypervisor.capabilities())
    domain_capabilities = ask_domain_capabilities(hypervisor, kinds_of(capabilities))
    return {
        "uuid": capabilities.host_uuid,
        "hostname": hypervisor.hostname(),
        "arch": capabilities.host_arch,
        "libvirt_version": hypervisor.libvirt_version(),
        "qemu_version": hypervisor.qemu_version(),
        "cpus": hypervisor.cpu_count(),
        "memory": _memory(hypervisor if system.is_remote else system.devices),
        "domain_types": sorted(capabilities.guests.get(capabilities.host_arch, {})),
        "guests": describe_guests(capabilities, domain_capabilities),
        "vms": [
            {"uuid": domain.uuid, "name": domain.name, "active": domain.active} for domain in hypervisor.list_domains()
        ],
        **_kernel(system),
    }


def ask_domain_capabilities(
    hypervisor: Hypervisor, kinds: Iterable[DomainKind]
) -> dict[DomainKind, DomainCapabilities]:
    """Return what domains of these kinds can have; leave out kinds that the hypervisor lacks."""
    answers = {}
    for kind in kinds:
        try:
            xml = hypervisor.domain_capabilities(kind.emulator, kind.arch, kind.machine, kind.domain_type)
        except VmError as error:
            if error.lost_libvirt:
                raise
            continue
        answers[kind] = parse_domain_capabilities(xml)
    return answers


def kinds_of(capabilities: Capabilities) -> list[DomainKind]:
    """Return the kinds of domains that VMs can be on the hypervisor."""
    return [
        DomainKind(None, arch, machine, domain_type)
        for arch, machines in _MACHINES.items()
        for domain_type, guest in sorted(capabilities.guests.get(arch, {}).items())
        for machine in machines
        if machine in guest.machines
    ]


def describe_guests(
    capabilities: Capabilities, domain_capabilities: Mapping[DomainKind, DomainCapabilities]
) -> list[dict[str, Any]]:
    """Return one entry for each architecture and domain type, in the terms of a VM's options."""
    described = []
    for arch in _MACHINES:
        for domain_type, guest in sorted(capabilities.guests.get(arch, {}).items()):
            machines = {
                kind.machine: _describe_machine(arch, answer)
                for kind, answer in domain_capabilities.items()
                if (kind.arch, kind.domain_type) == (arch, domain_type)
            }
            described.append(
                {
                    "arch": arch,
                    "domain_type": domain_type,
                    "emulator": guest.emulator,
                    "default_machine": default_machine(arch, domain_type, capabilities),
                    "machines": machines,
                    "machine_names": sorted(guest.machines),
                }
            )
    return described


def _describe_machine(arch: str, capabilities: DomainCapabilities) -> dict[str, Any]:
    firmware = ["bios"] if arch == "x86_64" else []
    return {
        "firmware": firmware + (["uefi"] if offers(capabilities.firmwares, "efi") else []),
        "console_modes": [kind for kind in ("vnc", "spice") if offers(capabilities.graphics, kind)],
        "video_types": _choices("video_type", capabilities.videos),
        "max_cpus": capabilities.max_cpus,
    }


def _choices(option: str, offered: Optional[tuple[str, ...]]) -> list[str]:
    """Return the choices of an option that the hypervisor offers, or all if libvirt doesn't say."""
    return [choice for choice in VM_ARGUMENT_SPEC[option]["choices"] if offers(offered, choice)]


def _memory(source: Union[Hypervisor, Devices]) -> dict[str, Any]:
    return {"total": source.memory_size(), "free": source.free_memory()}


def _kernel(system: System) -> dict[str, Any]:
    if system.is_remote:
        return {"load_average": None, "bridges": None, "cgroup_version": None, "iommu_groups": None}
    return {
        "load_average": system.devices.load_average(),
        "bridges": system.network.bridges(),
        "cgroup_version": system.devices.cgroup_version(),
        "iommu_groups": [
            {"number": number, "devices": devices} for number, devices in sorted(system.devices.iommu_groups().items())
        ],
    }
