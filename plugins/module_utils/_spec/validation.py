# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of VMs whose options are each valid: contradictions between options and between VMs.

Works on parts (C(option_reader.Part)), where an invalid option is absent, so that the
problems of one option hide none of another's. What depends on the host is checked later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Optional

from .._errors.errors import Problem
from ..import_lock import import_lock
from .device_addresses import device_address_problems
from .disk_validation import disk_problems
from .machine_problems import machine_problems
from .nic_problems import nic_problems
from .option_reader import Part

GUEST_AGENT_TARGET = "org.qemu.guest_agent.0"
_PASSWORD_BYTES = {"vnc": 8, "spice": 60, "vnc_and_spice": 8}

_HINTS_FOR_SAME = {
    "uuid": "describe each VM once, with a uuid of its own",
    "device_id": "give each a device_id of its own, or omit them all to number them in order",
    "wwn": "give each volume a wwn of its own, or leave it out",
    "install_path": "name each image once in a VM",
    "mac": "give each network card a mac of its own, or leave it out to derive it from the uuid of the VM",
    "nic_internal_name": "give each network card a name of its own, or leave it out",
    "interface_id": "give each network card an interface_id of its own, or leave it out to let libvirt choose one",
    "target_name": "give each channel of a VM a target_name of its own",
    "socket_path": "give each channel a socket_path of its own",
    "boot_dev": "list each kind of device once",
    "boot_order": "give each device that is to boot a boot_order of its own",
    "path": "pass each device through once",
    "floppies": "list each image once",
    "pci_devices": "pass each device through once, to one VM only",
    "mdev_devices": "pass each device through once, to one VM only",
    "name": "give each a name of its own",
    "spice_secure_channels": "list each channel once",
    "usb_devices": "pass each device through once, to one VM only",
}

Key = Callable[[Part], Any]


def problems_of_vm(vm: Part) -> Iterator[Problem]:
    """Yield the problems within one VM."""
    volumes = _volumes(vm)
    yield from _twice(volumes, "device_id", lambda part: part.get("device_id"))
    yield from _twice(volumes, "wwn", _wwn_on_scsi)
    yield from _twice(volumes, "install_path", lambda part: part.get("install_path"))
    yield from _twice(_parts(vm, "boot_iso"), "device_id", lambda part: part.get("device_id"))
    yield from _twice(_parts(vm, "cd_roms"), "device_id", lambda part: part.get("device_id"))
    yield from _twice(_parts(vm, "scsi_luns"), "device_id", lambda part: part.get("device_id"))
    yield from _twice(_parts(vm, "scsi_luns"), "path", lambda part: part.get("path"))
    yield from _twice(_bootable(vm), "boot_order", lambda part: part.get("boot_order"))
    yield from _twice_in_lists([vm], "floppies", lambda item: item)
    yield from _twice(_parts(vm, "nics"), "device_id", lambda part: part.get("device_id"))
    yield from _twice(_parts(vm, "channels"), "target_name", lambda part: part.get("target_name"))
    yield from _twice_in_lists([vm], "boot_dev", lambda item: item)
    yield from _too_many(vm, "data_volumes", 24, "the 24 device names available for data volumes")
    yield from _too_many(vm, "boot_iso", 3, "the 3 drives")
    yield from _too_many(vm, "cd_roms", 3, "the 3 drives")
    yield from _too_many(vm, "floppies", 2, "the 2 floppy drives")
    yield from machine_problems(vm)
    yield from _console_problems(vm)
    yield from _balloon_problems(vm)
    yield from _twice(_parts(vm, "shared_memory"), "name", lambda part: part.get("name"))
    yield from _twice_in_lists([vm], "spice_secure_channels", lambda item: item)
    yield from _boot_problems(vm)
    yield from _address_problems(vm)
    if vm.get("cloud_init") is not None:
        with import_lock:
            from .cloud_init import problems_of_cloud_init

        yield from problems_of_cloud_init(vm.get("cloud_init"))
    yield from device_address_problems(vm)
    yield from disk_problems(vm)
    for nic in _parts(vm, "nics"):
        yield from nic_problems(nic, vm)
    for patch in _parts(vm, "domain_patches"):
        yield from _patch_problems(patch)


def problems_across_vms(vms: Iterable[Part]) -> Iterator[Problem]:
    """Yield the conflicts between the VMs of a task."""
    vms = list(vms)
    yield from _twice(vms, "uuid", lambda part: part.get("uuid"))
    nics = [nic for vm in vms for nic in _parts(vm, "nics")]
    yield from _twice(nics, "mac", lambda part: part.get("mac"))
    yield from _twice(nics, "nic_internal_name", lambda part: part.get("nic_internal_name"))
    yield from _twice(nics, "interface_id", lambda part: part.get("interface_id"))
    channels = [channel for vm in vms for channel in _parts(vm, "channels")]
    yield from _twice(channels, "socket_path", lambda part: part.get("socket_path"))
    yield from _pci_device_problems(vms)
    yield from _twice_in_lists(vms, "usb_devices", lambda item: (item.server, item.bus, item.device))
    yield from _twice_in_lists(vms, "mdev_devices", lambda item: item)
    yield from _shared_volume_problems(vms)
    yield from _image_problems(vms)
    yield from _secret_problems(vms)


def _twice(parts: Iterable[Part], name: str, key: Key) -> Iterator[Problem]:
    first: dict[Any, Part] = {}
    for part in parts:
        value = key(part)
        if value is None or value == "":
            continue
        other = first.setdefault(value, part)
        if other is not part:
            yield _same("%s.%s" % (part.option_path, name), "%s.%s" % (other.option_path, name), name)


def _pci_device_problems(vms: Iterable[Part]) -> Iterator[Problem]:
    """Yield PCI devices of the hypervisor that are passed through twice, as devices or as NICs."""
    first: dict[Any, str] = {}
    for vm in vms:
        found = [
            ("%s.pci_devices[%d]" % (vm.option_path, index), item.address)
            for index, item in enumerate(vm.get("pci_devices") or ())
        ]
        found += [
            ("%s.pci_device_address" % nic.option_path, nic.get("pci_device_address")) for nic in _parts(vm, "nics")
        ]
        for option_path, address in found:
            other = first.setdefault(address, option_path) if address else option_path
            if other != option_path:
                yield _same(option_path, other, "pci_devices")


def _twice_in_lists(vms: Iterable[Part], name: str, key: Callable[[Any], Any]) -> Iterator[Problem]:
    first: dict[Any, str] = {}
    for vm in vms:
        for index, item in enumerate(vm.get(name) or ()):
            option_path = "%s.%s[%d]" % (vm.option_path, name, index)
            other = first.setdefault(key(item), option_path)
            if other != option_path:
                yield _same(option_path, other, name)


def _same(option_path: str, other: str, name: str) -> Problem:
    return Problem(option_path, "is the same as %s" % other, hint=_HINTS_FOR_SAME[name])


def _too_many(vm: Part, name: str, most: int, reason: str) -> Iterator[Problem]:
    if len(_parts(vm, name)) > most:
        yield Problem("%s.%s" % (vm.option_path, name), "are more than %s" % reason)


def _console_problems(vm: Part) -> Iterator[Problem]:
    mode, password = vm.get("console_mode"), vm.get("console_password")
    if mode in _PASSWORD_BYTES and password and len(password.encode("utf-8")) > _PASSWORD_BYTES[mode]:
        kind = "SPICE" if mode == "spice" else "VNC"
        yield Problem(
            "%s.console_password" % vm.option_path,
            "is longer than %d bytes, the limit of a %s password" % (_PASSWORD_BYTES[mode], kind),
            hint="use a shorter password" + (", or a spice console" if kind == "VNC" else ""),
        )
    if vm.get("usb_redirect") and mode in ("vnc", "none"):
        yield Problem(
            "%s.usb_redirect" % vm.option_path,
            "needs a spice console: VNC cannot redirect USB devices",
            hint="set console_mode to spice, or usb_redirect to false",
        )
    if vm.get("usb_redirect") and vm.get("appliance"):
        yield Problem(
            "%s.usb_redirect" % vm.option_path,
            "cannot be used with appliance, which has a single USB controller",
            hint="set one of both to false",
        )


def _balloon_problems(vm: Part) -> Iterator[Problem]:
    balloon = vm.get("memory_balloon")
    address = balloon.get("address") if balloon is not None else None
    if address is None:
        return
    if balloon.get("enabled") is False:
        yield Problem(address.option_path, "cannot be used without a memory balloon", hint="set enabled to true")
    if address.get("type") == "drive":
        yield Problem("%s.type" % address.option_path, "must be pci for a memory balloon")


def _boot_problems(vm: Part) -> Iterator[Problem]:
    targets = [channel.get("target_name") for channel in _parts(vm, "channels")]
    could_come_by_patch = bool(vm.get("domain_patches")) or "channels" in vm.wrong
    if vm.get("wait_for") == "guest_agent" and GUEST_AGENT_TARGET not in targets and not could_come_by_patch:
        yield Problem(
            "%s.wait_for" % vm.option_path,
            "is guest_agent, but no channel of the VM has target_name %s" % GUEST_AGENT_TARGET,
            hint="add such a channel, or wait for the console",
        )


def _address_problems(vm: Part) -> Iterator[Problem]:
    could_come_by_patch = bool(vm.get("domain_patches")) or "nics" in vm.wrong
    if vm.get("wait_for") == "address" and not vm.get("nics") and not could_come_by_patch:
        yield Problem(
            "%s.wait_for" % vm.option_path, "is address, but the VM has no NIC", hint="add a NIC, or change wait_for"
        )


def _patch_problems(patch: Part) -> Iterator[Problem]:
    action, value = patch.get("action"), patch.get("value")
    if "value" in patch.wrong or action is None:
        return
    if action == "remove" and value is not None:
        yield Problem("%s.value" % patch.option_path, "cannot be used with action remove")
    if action != "remove" and value is None:
        yield Problem("%s.value" % patch.option_path, "is required with action %s" % action)


def _shared_volume_problems(vms: Iterable[Part]) -> Iterator[Problem]:
    """Yield disks that two VMs would write to and destroy. iSCSI disks are always shared, as in ZStack."""
    first: dict[str, tuple[Part, Part]] = {}
    for vm in vms:
        for volume in _volumes(vm):
            path = volume.get("install_path")
            if path is None or volume.get("device_type") == "iscsi":
                continue
            other_vm, other = first.setdefault(path, (vm, volume))
            if other_vm is not vm and not (volume.get("shareable") and other.get("shareable")):
                yield Problem(
                    "%s.install_path" % volume.option_path,
                    "is the same as %s.install_path: two VMs that write to one disk destroy it" % other.option_path,
                    hint="set shareable in both if the guests can share a disk (cluster file system)",
                )


def _image_problems(vms: Iterable[Part]) -> Iterator[Problem]:
    """Yield the images of new volumes that are themselves volumes, to which a VM writes."""
    volumes = [volume for vm in vms for volume in _volumes(vm)]
    paths = {volume.get("install_path"): volume for volume in volumes if volume.get("device_type") == "file"}
    for volume in volumes:
        create = volume.get("create")
        other = paths.get(create.get("image")) if create is not None and create.get("image") else None
        if other is not None:
            yield Problem(
                "%s.image" % create.option_path,
                "is the same as %s.install_path: a VM writes to it" % other.option_path,
                hint="name an image that no VM uses as its volume",
            )


def _secret_problems(vms: Iterable[Part]) -> Iterator[Problem]:
    """Yield secrets with two different keys, as libvirt has one value for a secret."""
    first: dict[str, Part] = {}
    for vm in vms:
        secret = vm.get("ceph_secret")
        uuid, key = (secret.get("uuid"), secret.get("key")) if secret is not None else (None, None)
        if uuid is None or key is None:
            continue
        other = first.setdefault(uuid, secret)
        if other.get("key") != key:
            yield Problem(
                "%s.key" % secret.option_path,
                "differs from %s.key, for the same secret %s" % (other.option_path, uuid),
                hint="give each cephx user a secret UUID of its own",
            )


def _volumes(vm: Part) -> list[Part]:
    root = vm.get("root_volume")
    return ([root] if root is not None else []) + _parts(vm, "data_volumes")


def _bootable(vm: Part) -> list[Part]:
    return [*_volumes(vm), *_parts(vm, "cd_roms"), *_parts(vm, "scsi_luns"), *_parts(vm, "nics")]


def _parts(vm: Part, name: str) -> list[Part]:
    return vm.get(name) or []


def _wwn_on_scsi(volume: Part) -> Optional[str]:
    """Return the WWN of a SCSI disk. ZStack gives one to every volume, but only SCSI disks use it."""
    wwn = volume.get("wwn")
    if not wwn or not volume.get("use_virtio_scsi"):
        return None
    return wwn.lower()[-16:]
