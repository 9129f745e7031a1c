# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the libvirt domain of a VM on a host."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem, VmProblems
from .._host.capabilities import DomainCapabilities, DomainKind, Host, domain_kind, is_q35
from .._spec.vm import Vm, Volume
from .._storage.backends import disk as disk_of
from .._storage.base import StorageFacts
from ..import_lock import import_lock
from .board_problems import board_problems
from .boot_order import plan_boot
from .channel import add_channels, add_spice_channel, add_webdav_channel
from .clock import add_clock
from .command_line import add_command_line
from .context import BuildContext
from .controller import add_pci_controllers, add_scsi_controllers, add_usb_controllers
from .cpu import add_cpu
from .cputune import add_cpu_tuning, add_io_threads, add_numa_tuning
from .disk import add_disks, add_seed
from .disk_layout import plan_disks
from .elements import add
from .features import add_features
from .graphics import add_graphics
from .hostdev import add_mdev_devices, add_pci_devices, add_usb_devices
from .input import add_inputs
from .interface import add_interfaces, filter_problems
from .iommu import add_iommu
from .kind import check_kind, emulator_of
from .memballoon import add_memory_balloon
from .memory import add_memory, add_memory_backing
from .metadata import NAMESPACES, add_lifecycle, add_metadata
from .os import add_os
from .panic import add_panic_devices
from .pci_buses import pci_address_problems
from .power import add_power_management
from .recorded_names import with_recorded_names
from .redirdev import add_redirections
from .seclabel import add_security_label
from .serial import add_serial
from .shmem import add_shared_memory
from .smbios import add_smbios
from .sound import add_sound
from .tpm import add_tpm
from .usb_layout import plan_usb
from .vcpu import add_vcpus
from .video import add_video

_Builder = Callable[[Any, BuildContext], None]

# In the order in which libvirt writes a domain.
_HEAD_BUILDERS: tuple[_Builder, ...] = (
    add_metadata,
    add_memory,
    add_memory_backing,
    add_vcpus,
    add_io_threads,
    add_cpu_tuning,
    add_numa_tuning,
    add_smbios,
    add_os,
    add_features,
    add_cpu,
    add_clock,
    add_lifecycle,
    add_power_management,
)
_DEVICE_BUILDERS: tuple[_Builder, ...] = (
    add_disks,
    add_seed,
    add_usb_controllers,
    add_scsi_controllers,
    add_pci_controllers,
    add_interfaces,
    add_serial,
    add_channels,
    add_spice_channel,
    add_webdav_channel,
    add_inputs,
    add_tpm,
    add_graphics,
    add_sound,
    add_video,
    add_pci_devices,
    add_mdev_devices,
    add_usb_devices,
    add_redirections,
    add_memory_balloon,
    add_shared_memory,
    add_panic_devices,
    add_iommu,
)


class DesiredDomain(NamedTuple):
    """A domain as the VM's options describe it.

    C(unpatched): the domain without its patches, None if it has none.
    C(missing): what the host lacks to run it; an error in a real run, a warning in check mode.
    """

    element: etree._Element
    unpatched: Optional[etree._Element]
    warnings: tuple[str, ...]
    missing: tuple[Problem, ...]


def build(vm: Vm, host: Host, facts: StorageFacts) -> DesiredDomain:
    """Return the domain of a VM. Raise VmProblems when no host could run it.

    The VM's options decide everything in it; what libvirt adds (PCI addresses, aliases, controllers that follow from
    devices) is left to libvirt.
    """
    kind = domain_kind(vm, host.capabilities)
    capabilities = host.domain_capabilities.get(kind, DomainCapabilities())
    problems = [*_format_problems(vm, facts), *filter_problems(vm), *board_problems(vm, kind)]
    is_aarch64 = kind.arch == "aarch64"
    has_ide = _has_ide(kind, capabilities)
    layout = plan_disks(vm, is_aarch64, has_ide, lambda item: disk_of(item, facts), facts.floppies, problems)
    layout = with_recorded_names(layout, vm, problems)
    context = BuildContext(
        vm, host, kind, capabilities, layout, plan_boot(vm, layout), plan_usb(vm, is_aarch64, problems), facts.seed_path
    )
    check_kind(context)
    domain = etree.Element("domain", {"type": kind.domain_type}, nsmap=NAMESPACES)
    for builder in _HEAD_BUILDERS:
        builder(domain, context)
    devices = add(domain, "devices")
    emulator = emulator_of(context)
    if emulator:
        add(devices, "emulator", emulator)
    for builder in _DEVICE_BUILDERS:
        builder(devices, context)
    add_security_label(domain, context)
    add_command_line(domain, context)
    problems.extend(pci_address_problems(domain, vm))
    unpatched = None
    if vm.domain_patches:
        with import_lock:
            from .patches import apply_patches

        unpatched = copy.deepcopy(domain)
        apply_patches(domain, vm.domain_patches, problems)
    if problems:
        raise VmProblems(problems)
    return DesiredDomain(domain, unpatched, tuple(context.warnings), tuple(context.missing))


def _has_ide(kind: DomainKind, capabilities: DomainCapabilities) -> bool:
    if capabilities.disk_buses is None:
        return not is_q35(kind.machine)
    return "ide" in capabilities.disk_buses


def _format_problems(vm: Vm, facts: StorageFacts) -> list[Problem]:
    return [
        _shared_qcow2(volume)
        for volume in vm.volumes
        if volume.shareable
        and volume.device_type in ("file", "block", "fusionstor")
        and (volume.format or facts.formats.get(volume.install_path)) == "qcow2"
    ]


def _shared_qcow2(volume: Volume) -> Problem:
    return Problem(
        "%s.shareable" % volume.option_path,
        "%s is a qcow2 image, which cannot be shared" % volume.install_path,
        hint="convert it to raw, or set shareable to false",
    )
