# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The features of a hypervisor, parsed from libvirt's capabilities and domain capabilities. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._spec.vm import Vm

if TYPE_CHECKING:
    from .firmware import Firmware


class GuestType(NamedTuple):
    """The support of one domain type for guests of one architecture.

    C(newest): the machine type that a name without a version, such as pc, stands for.
    """

    emulator: str
    machines: frozenset[str]
    newest: Mapping[str, str] = MappingProxyType({})


class Capabilities(NamedTuple):
    """C(guests): architecture, then domain type (kvm or qemu). C(qemu_owner): the user and group id that QEMU has.

    C(host_uuid): the UUID by which libvirt identifies the hypervisor, empty if it has none. C(cpus), C(numa_nodes):
    their numbers, empty if they are unknown.
    """

    host_arch: str
    guests: Mapping[str, Mapping[str, GuestType]]
    qemu_owner: Optional[tuple[int, int]] = None
    host_uuid: str = ""
    cpus: frozenset[int] = frozenset()
    numa_nodes: frozenset[int] = frozenset()


class DomainCapabilities(NamedTuple):
    """Features that domains of one kind support. C(None): unknown, so that anything may be tried."""

    emulator: str = ""
    max_cpus: Optional[int] = None
    firmwares: Optional[tuple[str, ...]] = None
    loaders: tuple[str, ...] = ()
    cpu_modes: Optional[tuple[str, ...]] = None
    cpu_models: Optional[tuple[str, ...]] = None
    disk_buses: Optional[tuple[str, ...]] = None
    graphics: Optional[tuple[str, ...]] = None
    videos: Optional[tuple[str, ...]] = None
    redirdev_buses: Optional[tuple[str, ...]] = None
    secure_loaders: Optional[tuple[str, ...]] = None
    hyperv_features: Optional[tuple[str, ...]] = None
    tpm_models: Optional[tuple[str, ...]] = None
    tpm_backends: Optional[tuple[str, ...]] = None


class DomainKind(NamedTuple):
    """The key of libvirt's domain capabilities. C(emulator) is C(None) for libvirt's default."""

    emulator: Optional[str]
    arch: str
    machine: str
    domain_type: str


class DeviceSupport(NamedTuple):
    """The facts that decide about devices. C(pci_roms): the names of the ROM files of ZStack's device specifications.

    C(has_spice_tls): whether spice consoles may encrypt channels. C(largest_gpu_bar): in bytes, the largest 64-bit
    memory region of a graphics card, 0 if it has none.
    """

    pci_roms: frozenset[str] = frozenset()
    has_spice_tls: bool = False
    largest_gpu_bar: int = 0


class Host(NamedTuple):
    """A hypervisor. A kind that it does not report is absent from C(domain_capabilities).

    C(addresses): the IP addresses that it has, C(None) if that is not known. C(has_cpu_shares): whether its libvirt may
    divide the CPUs among VMs, as a user's own may not. C(address_bits): how wide the memory addresses of a KVM guest
    can be; C(firmwares): the UEFI firmware that its descriptors name, best first; both C(None) if not known.
    """

    capabilities: Capabilities
    domain_capabilities: Mapping[DomainKind, DomainCapabilities] = MappingProxyType({})
    cgroup_version: int = 2
    addresses: Optional[frozenset[str]] = None
    has_cpu_shares: bool = True
    device_support: DeviceSupport = DeviceSupport()
    address_bits: Optional[int] = None
    firmwares: Optional[tuple[Firmware, ...]] = None


def offers(values: Optional[tuple[str, ...]], value: str) -> bool:
    """Return whether the host supports the value, or does not report its values."""
    return values is None or value in values


def is_q35(machine: str) -> bool:
    """Return whether a machine type is the PC with PCI Express, which has no IDE."""
    return machine == "q35" or machine.startswith("pc-q35")


def parse_capabilities(xml: str) -> Capabilities:
    """Parse the result of virConnectGetCapabilities."""
    root = etree.fromstring(xml)
    guests: dict[str, dict[str, GuestType]] = {}
    for guest in root.iterfind("guest"):
        if guest.findtext("os_type") != "hvm":
            continue
        for arch in guest.iterfind("arch"):
            types = guests.setdefault(arch.get("name"), {})
            for domain in arch.iterfind("domain"):
                types[domain.get("type")] = _guest_type(arch, domain)
    return Capabilities(
        root.findtext("host/cpu/arch"),
        guests,
        _qemu_owner(root),
        root.findtext("host/uuid", ""),
        _ids(root, "host/topology/cells/cell/cpus/cpu"),
        _ids(root, "host/topology/cells/cell"),
    )


def _ids(root: etree._Element, path: str) -> frozenset[int]:
    return frozenset(int(each.get("id")) for each in root.iterfind(path))


def _qemu_owner(root: etree._Element) -> Optional[tuple[int, int]]:
    """Return the user and group id from the label of processes, C(+64055:+107)."""
    label = re.fullmatch(r"\+(\d+):\+(\d+)", root.findtext("host/secmodel[model='dac']/baselabel", ""))
    return (int(label[1]), int(label[2])) if label else None


def parse_domain_capabilities(xml: str) -> DomainCapabilities:
    """Parse the result of virConnectGetDomainCapabilities."""
    root = etree.fromstring(xml)
    vcpu = root.find("vcpu")
    return DomainCapabilities(
        emulator=root.findtext("path", ""),
        max_cpus=int(vcpu.get("max")) if vcpu is not None else None,
        firmwares=_enum(root, "os", "firmware"),
        loaders=tuple(value.text for value in root.iterfind("os/loader/value")),
        cpu_modes=_supported(root, "cpu/mode"),
        cpu_models=_texts(root, "cpu/mode[@name='custom']", "model"),
        disk_buses=_enum(root, "devices/disk", "bus"),
        graphics=_enum(root, "devices/graphics", "type"),
        videos=_enum(root, "devices/video", "modelType"),
        redirdev_buses=_enum(root, "devices/redirdev", "bus"),
        secure_loaders=_enum(root, "os/loader", "secure"),
        hyperv_features=_enum(root, "features/hyperv", "features"),
        tpm_models=_enum(root, "devices/tpm", "model"),
        tpm_backends=_enum(root, "devices/tpm", "backendModel"),
    )


def domain_kind(vm: Vm, capabilities: Capabilities) -> DomainKind:
    """Return the kind of domain whose capabilities a VM needs, whether or not the host supports it."""
    arch = vm.arch or capabilities.host_arch
    return DomainKind(
        vm.emulator, arch, vm.machine or default_machine(arch, vm.domain_type, capabilities), vm.domain_type
    )


def guest_type(kind: DomainKind, capabilities: Capabilities) -> Optional[GuestType]:
    """Return how the host runs domains of this kind, C(None) if it does not."""
    return capabilities.guests.get(kind.arch, {}).get(kind.domain_type)


def default_machine(arch: str, domain_type: str, capabilities: Capabilities) -> str:
    """Return ZStack's machine if the host supports it: Enterprise Linux 10 and later have no i440FX."""
    if arch == "aarch64":
        return "virt"
    types = capabilities.guests.get(arch, {})
    # If the domain type is missing, another one says what the emulator has.
    known = types.get(domain_type) or next(iter(types.values()), None)
    if known and "pc" not in known.machines and "q35" in known.machines:
        return "q35"
    return "pc"


def _guest_type(arch: etree._Element, domain: etree._Element) -> GuestType:
    """Return the support of a domain type, which may have an emulator and machines of its own."""
    machines = domain.findall("machine") or arch.findall("machine")
    return GuestType(
        domain.findtext("emulator") or arch.findtext("emulator", ""),
        frozenset(machine.text for machine in machines),
        {machine.text: machine.get("canonical") for machine in machines if machine.get("canonical")},
    )


def _enum(root: etree._Element, path: str, name: str) -> Optional[tuple[str, ...]]:
    """Return the values of an enumeration; none if its element is not supported."""
    element = root.find(path)
    if element is None:
        return None
    if element.get("supported") == "no":
        return ()
    return _texts(root, "%s/enum[@name='%s']" % (path, name), "value")


def _texts(root: etree._Element, path: str, tag: str) -> Optional[tuple[str, ...]]:
    element = root.find(path)
    return None if element is None else tuple(child.text for child in element.iterfind(tag))


def _supported(root: etree._Element, path: str) -> Optional[tuple[str, ...]]:
    modes = root.findall(path)
    return tuple(mode.get("name") for mode in modes if mode.get("supported") == "yes") if modes else None
