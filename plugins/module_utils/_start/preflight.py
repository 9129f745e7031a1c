# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what a VM that is to start needs of the hypervisor, before anything is changed.

Storage is checked in C(_host_storage); what the hypervisor's QEMU lacks is found by building the domain.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Optional, Union

from .._actions.action import Action
from .._domain.interface import NIC_FILTER, is_filtered
from .._errors.errors import Problem, VmError
from .._host.bridges import openvswitch_bridge_exists
from .._host.system import HostSystem, System
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import Vm
from .._storage.iscsi import uses_host_initiator
from .._storage.iscsi_cd import parse_cd_lun
from ..foreign_text import clean_line
from .daemons import daemon_problem

_VHOST_NET = "/dev/vhost-net"


def host_problems(vm: Vm, system: System) -> list[Problem]:
    """Return a problem for each device, bridge and address that the hypervisor lacks.

    Of a remote hypervisor, leave to libvirt what can only be checked on it.
    """
    if system.is_remote:
        return []
    return [
        *_bridge_problems(vm, system),
        *_channel_problems(vm, system),
        *_nvram_problems(vm, system),
        *_queue_problems(vm, system),
        *_pci_problems(vm, system),
        *_mdev_problems(vm, system),
        *_usb_problems(vm, system),
        *_scsi_lun_problems(vm, system),
    ]


def missing_explained(missing: Iterable[Problem], vm: Vm, system: System) -> list[Problem]:
    """Return what the builder of a domain missed, with the reason if it is KVM, in the words of ZStack's agent."""
    reason = "" if system.is_remote or vm.domain_type != "kvm" else _reason_without_kvm(system)
    return [
        problem._replace(message="%s: %s" % (problem.message, reason))
        if reason and problem.code == "unsupported_domain_type"
        else problem
        for problem in missing
    ]


def _reason_without_kvm(system: HostSystem) -> str:
    if system.files.path_kind("/dev/kvm") is None:
        return "missing directory /dev/kvm"
    if all(system.files.path_kind("/sys/module/" + module) is None for module in ("kvm", "kvm_intel", "kvm_amd")):
        return "missing kvm_intel or kvm_amd module"
    return ""


def rights_problems(vm: Vm, system: System, owner: Optional[tuple[int, int]]) -> list[Problem]:
    """Return what a start needs and only root may do, unless the user is root. C(owner): the user that QEMU runs as."""
    if system.is_remote or system.is_root():
        return []
    return [*_directory_rights(vm, system, owner), *_login_rights(vm)]


def _directory_rights(vm: Vm, system: HostSystem, owner: Optional[tuple[int, int]]) -> Iterator[Problem]:
    for option_path, path in _sockets(vm):
        directory = os.path.dirname(path)
        if system.files.path_kind(directory) is None and (owner is not None or not system.files.may_create(directory)):
            message = "this user may not create the directory %s" % directory
            yield Problem(option_path, message, "needs_root")


def _sockets(vm: Vm) -> list[tuple[str, str]]:
    """Return the sockets on which QEMU listens: of channels, and for QMP."""
    sockets = [("%s.socket_path" % channel.option_path, channel.socket_path) for channel in vm.channels]
    if vm.qmp_socket is not None:
        sockets.append(("%s.additional_qmp" % vm.option_path, vm.qmp_socket))
    return sockets


def _login_rights(vm: Vm) -> Iterator[Problem]:
    for volume in vm.volumes:
        if uses_host_initiator(volume):
            message = "this user may not log in to an iSCSI target"
            yield Problem("%s.install_path" % volume.option_path, message, "needs_root")
    for cd in vm.cds:
        if parse_cd_lun(cd.path) is not None:
            yield Problem("%s.path" % cd.option_path, "this user may not log in to an iSCSI target", "needs_root")


def backup_problems(directory: str, actions: Iterable[Action], system: System) -> list[Problem]:
    """Return why definitions can't be backed up to a directory, if the actions do that."""
    if system.is_remote or not any(action.name == "back_up_definition" for action in actions):
        return []
    if system.files.may_create(directory + "/definition.xml"):
        return []
    if system.is_root():
        return [Problem("backup", "nothing can be written to %s: Read-only file system" % directory, "path_unwritable")]
    return [Problem("backup", "this user may not write to %s" % directory, "needs_root")]


def network_filter_problems(vm: Vm, filters: Union[Collection[str], VmError, None]) -> list[Problem]:
    """Return the NICs whose network filter libvirt lacks; C(filters): those that it has, or why it doesn't say."""
    filtered = [
        "%s.%s" % (nic.option_path, "clean_traffic" if nic.clean_traffic else "ip")
        for nic in vm.nics
        if is_filtered(nic)
    ]
    if isinstance(filters, VmError):
        return [problem for option_path in filtered for problem in daemon_problem(option_path, filters)]
    if filters is None or NIC_FILTER in filters:
        return []
    message = "libvirt has no network filter %s, which every NIC with clean_traffic or an address gets" % NIC_FILTER
    return [Problem(option_path, message, "filter_failed") for option_path in filtered]


def memory_warnings(vm: Vm, free: Optional[int]) -> list[str]:
    """Return a warning if memory is short, which is not an error as ZStack overcommits it. C(free) is in bytes."""
    if free is None or free >= vm.memory:
        return []
    return ["the hypervisor has %d MiB of memory free, and the VM needs %d MiB" % (free >> 20, vm.memory >> 20)]


def missing_channel_directories(vm: Vm, system: System) -> list[str]:
    """Return the directories that the sockets of a VM need and that are missing."""
    if system.is_remote:
        return []
    directories = dict.fromkeys(os.path.dirname(path) for _option_path, path in _sockets(vm))
    return [path for path in directories if system.files.path_kind(path) is None]


def qmp_directory_problems(vm: Vm, system: System, owner: Optional[tuple[int, int]]) -> list[Problem]:
    """Return why QEMU may not listen on the additional QMP socket. C(owner): the user that QEMU runs as."""
    try:
        is_shared = _is_qmp_directory_shared(vm, system, owner)
    except VmError as error:
        message = "QEMU must not listen in %s: %s" % (_qmp_directory(vm), error.message)
        hint = "give the directory to root, or remove it: a start creates it for the user that QEMU runs as"
        return [Problem("%s.additional_qmp" % vm.option_path, message, error.code, hint)]
    if system.is_remote or not is_shared or system.is_root():
        return []
    message = "this user may not restrict %s to QEMU's user" % _qmp_directory(vm)
    return [Problem("%s.additional_qmp" % vm.option_path, message, "needs_root")]


def shared_qmp_directory(vm: Vm, system: System, owner: Optional[tuple[int, int]]) -> list[str]:
    """Return the directory of the additional QMP socket if others than the user that QEMU runs as have access to it."""
    with contextlib.suppress(VmError):
        if _is_qmp_directory_shared(vm, system, owner):
            return [_qmp_directory(vm)]
    return []


def _is_qmp_directory_shared(vm: Vm, system: System, owner: Optional[tuple[int, int]]) -> bool:
    path = _qmp_directory(vm)
    if system.is_remote or not path or system.files.path_kind(path) != "directory":
        return False
    return system.files.is_shared_directory(path, owner)


def _qmp_directory(vm: Vm) -> str:
    return os.path.dirname(vm.qmp_socket or "")


def missing_nvram_directory(vm: Vm, system: System) -> list[str]:
    """Return the directory of the NVRAM file if it is missing."""
    if system.is_remote or vm.nvram is None or not vm.has_uefi:
        return []
    path = os.path.dirname(vm.nvram)
    return [] if system.files.path_kind(path) is not None else [path]


def tpm_secret_problems(vm: Vm, hypervisor: Hypervisor) -> list[Problem]:
    """Return a problem if the secret that encrypts the TPM's state is missing or has no value."""
    uuid = vm.tpm.secret_uuid if vm.tpm else None
    if uuid is None:
        return []
    option_path = "%s.tpm.secret_uuid" % vm.option_path
    try:
        if hypervisor.secret_value(uuid) is not None:
            return []
    except VmError as error:
        # Only QEMU's driver may read the value of a private secret.
        return [] if error.code == "libvirt_denied" else [Problem(option_path, error.message, error.code)]
    message = "libvirt has no secret %s, or it has no value" % uuid
    hint = "define it with the module zstack_libvirt_secret"
    return [Problem(option_path, message, "secret_missing", hint)]


def _nvram_problems(vm: Vm, system: HostSystem) -> Iterator[Problem]:
    if vm.loader_rom is not None and system.files.path_kind(vm.loader_rom) != "file":
        message = "the file %s does not exist" % vm.loader_rom
        yield Problem("%s.loader_rom" % vm.option_path, message, "firmware_missing")
    if vm.nvram is None or not vm.has_uefi:
        return
    kind = system.files.path_kind(vm.nvram)
    if kind not in (None, "file"):
        message = "%s is not a file: NVRAM on other storage is not supported" % vm.nvram
        yield Problem("%s.nvram" % vm.option_path, message, "path_unwritable")
    directory = os.path.dirname(vm.nvram)
    while directory != "/" and system.files.path_kind(directory) is None:
        directory = os.path.dirname(directory)
    if system.files.path_kind(directory) != "directory":
        yield Problem("%s.nvram" % vm.option_path, "%s is not a directory" % directory, "path_unwritable")


def network_problems(vm: Vm, networks: Union[Mapping[str, bool], VmError, None]) -> list[Problem]:
    """Return the NICs whose libvirt network is missing or inactive.

    C(networks): whether each is active; None if no VM needs one, or why libvirt doesn't say.
    """
    on_networks = [nic for nic in vm.nics if nic.network_name is not None]
    if networks is None or not on_networks:
        return []
    if isinstance(networks, VmError):
        return [Problem("%s.network_name" % nic.option_path, networks.message, networks.code) for nic in on_networks]
    return [
        Problem("%s.network_name" % nic.option_path, message % clean_line(name), code)
        for nic in on_networks
        for name in [nic.network_name or ""]
        for code, message in [
            ("network_inactive", "the libvirt network %s is not active")
            if name in networks
            else ("network_missing", "the hypervisor has no libvirt network %s")
        ]
        if not networks.get(name)
    ]


def _bridge_problems(vm: Vm, system: HostSystem) -> Iterator[Problem]:
    for nic in vm.nics:
        if nic.bridge_name is None or nic.pci_device_address:
            continue
        problem = _openvswitch_problem if nic.bridge_type == "openvswitch" else _kernel_bridge_problem
        found = problem(nic.bridge_name, "%s.bridge_name" % nic.option_path, system)
        if found is not None:
            yield found


def _kernel_bridge_problem(name: str, option_path: str, system: HostSystem) -> Optional[Problem]:
    hint = ""
    if system.network.bridge_exists(name):
        return None
    if system.files.path_kind("/sys/class/net/" + name) is not None:
        # Without Open vSwitch it can't be one of its bridges.
        with contextlib.suppress(VmError):
            if openvswitch_bridge_exists(system, name):
                hint = "%s is a bridge of Open vSwitch: set bridge_type to openvswitch" % name
    return Problem(option_path, "the hypervisor has no bridge %s" % name, "bridge_missing", hint=hint)


def _openvswitch_problem(name: str, option_path: str, system: HostSystem) -> Optional[Problem]:
    if system.network.bridge_exists(name):
        hint = "set bridge_type to linux, or name a bridge of Open vSwitch"
        return Problem(
            option_path, "%s is a bridge of the kernel, not of Open vSwitch" % name, "bridge_missing", hint=hint
        )
    try:
        if openvswitch_bridge_exists(system, name):
            return None
    except VmError as error:
        hint = "install openvswitch-switch" if error.code == "command_missing" else ""
        return Problem(option_path, error.message, error.code, hint=hint)
    hint = "create it with ovs-vsctl add-br, or correct bridge_name"
    return Problem(option_path, "Open vSwitch has no bridge %s" % name, "bridge_missing", hint=hint)


def _channel_problems(vm: Vm, system: System) -> Iterator[Problem]:
    for option_path, path in _sockets(vm):
        directory = os.path.dirname(path)
        while directory != "/" and system.files.path_kind(directory) is None:
            directory = os.path.dirname(directory)
        if system.files.path_kind(directory) != "directory":
            message = "%s is not a directory" % directory
            yield Problem(option_path, message, "path_unwritable")


def _queue_problems(vm: Vm, system: System) -> Iterator[Problem]:
    """Yield NICs whose queues need the kernel's vhost, which libvirt opens for KVM only."""
    if vm.domain_type == "kvm" and system.files.path_kind(_VHOST_NET) is None:
        for nic in vm.nics:
            if nic.queues > 1:
                message = "the hypervisor has no %s, which a NIC with several queues needs" % _VHOST_NET
                hint = "load the kernel module vhost_net, or set queues to 1"
                yield Problem("%s.queues" % nic.option_path, message, "device_missing", hint=hint)


def _pci_problems(vm: Vm, system: System) -> Iterator[Problem]:
    functions = [("%s.pci_device_address" % nic.option_path, nic.pci_device_address) for nic in vm.nics]
    for option_path, address in [*((device.option_path, device.address) for device in vm.pci_devices), *functions]:
        if address is None:
            continue
        if not system.devices.pci_device_exists(address):
            yield Problem(option_path, "the hypervisor has no PCI device %s" % address, "device_missing")
        elif not system.devices.has_iommu_group(address):
            message = "the PCI device %s is not behind an IOMMU, so it cannot be passed through" % address
            yield Problem(option_path, message, "iommu_missing")
        elif option_path.endswith(".pci_device_address") and not system.devices.is_virtual_function(address):
            hint = "name a virtual function, or pass the whole device through by pci_devices"
            message = "the PCI device %s is not a virtual function" % address
            yield Problem(option_path, message, "device_missing", hint=hint)
    for device in vm.pci_devices:
        if device.rom.startswith("/") and system.files.path_kind(device.rom) != "file":
            yield Problem(device.option_path, "the ROM file %s does not exist" % device.rom, "device_missing")


def _mdev_problems(vm: Vm, system: System) -> Iterator[Problem]:
    for device in vm.mdev_devices:
        if system.files.path_kind("/sys/bus/mdev/devices/" + device.uuid) is None:
            message = "the hypervisor has no mediated device %s" % device.uuid
            yield Problem(device.option_path, message, "device_missing")


def _usb_problems(vm: Vm, system: System) -> Iterator[Problem]:
    if not vm.usb_devices:
        return
    there = {(device.bus, device.device, device.vendor, device.product) for device in system.devices.usb_devices()}
    for device in vm.usb_devices:
        if not device.server and (device.bus, device.device, device.vendor, device.product) not in there:
            message = "no USB device %04x:%04x is plugged in as device %d of bus %d" % (
                device.vendor,
                device.product,
                device.device,
                device.bus,
            )
            yield Problem(device.option_path, message, "device_missing")


def _scsi_lun_problems(vm: Vm, system: HostSystem) -> Iterator[Problem]:
    for lun in vm.scsi_luns:
        kind = system.files.path_kind(lun.path)
        if kind != "block":
            what = "does not exist" if kind is None else "is not a block device"
            yield Problem("%s.path" % lun.option_path, "%s %s" % (lun.path, what), "device_missing")
