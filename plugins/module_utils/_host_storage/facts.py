# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts from the hypervisor that are needed to describe the disks of a VM.

The format of an image is read once. Afterwards the definition's counts: the guest can write anything into a raw
disk, including the header of a qcow2 image that has any file of the hypervisor as its backing file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from .._errors.errors import Problem, VmError
from .._libvirt.hypervisor import Hypervisor
from .._spec.vm import CdDrive, Cdrom, Vm, Volume
from .._storage.base import FUSIONSTOR_SCHEME, StorageFacts, StorageItem, option_path_of, path_of
from .._storage.file import IMAGE_KINDS
from .._storage.image_chain import QCOW2_MAGIC, chain_of
from .._storage.iscsi import lun_of, uses_host_initiator
from ..import_lock import import_lock

if TYPE_CHECKING:
    from .._host.system import HostSystem, System

_FORGED = "%s has a qcow2 header, but the definition says raw: the guest may have written it"
_FORGED_HINT = "If you have converted the image yourself, leave create out and set the volume's format to qcow2."


def facts(vm: Vm, existing: Optional[Any], system: System, hypervisor: Hypervisor) -> StorageFacts:
    """Return the storage facts of one VM. C(existing) is the C(domain) element of its definition, if any."""
    known = defined_formats(existing)
    formats: dict[str, str] = {}
    problems: list[Problem] = []
    for volume in vm.volumes:
        try:
            image_format = _format_of(volume, known, system, hypervisor)
            if image_format is not None:
                formats[volume.install_path] = image_format
        except VmError as error:
            problems.append(Problem(option_path_of(volume), error.message, error.code, error.hint))
    block_devices = _block_devices(vm, existing, system)
    floppies = _floppies(vm, existing, system)
    return StorageFacts(formats, _chap_secrets(vm, hypervisor), block_devices, tuple(problems), floppies)


def _floppies(vm: Vm, existing: Optional[Any], system: System) -> frozenset[str]:
    """Return the floppy images that exist; where that can't be seen, those in the definition."""
    if system.is_remote:
        return frozenset(_defined_kinds(existing)).intersection(vm.floppies)
    return frozenset(path for path in vm.floppies if system.files.path_kind(path) in IMAGE_KINDS)


def defined_formats(existing: Optional[Any]) -> dict[str, str]:
    """Return the formats in the definition of a VM by install path, including images below overlays."""
    disks = existing.iterfind("devices/disk") if existing is not None else ()
    known = {link.image: link.format for disk in disks for link in chain_of(disk) if link.format is not None}
    return {_install_path(image): image_format for image, image_format in known.items()}


def _install_path(image: str) -> str:
    dummy, is_nbd, name = image.partition("nbd:")
    return FUSIONSTOR_SCHEME + name if is_nbd and not dummy else image


def _block_devices(vm: Vm, existing: Optional[Any], system: System) -> frozenset[str]:
    defined = _defined_kinds(existing)
    items: list[StorageItem] = [*vm.volumes, *vm.cds]
    paths = {path_of(item) for item in items if _is_path(item)}
    return frozenset(path for path in paths if _is_block_device(path, defined, system))


def _is_path(item: StorageItem) -> bool:
    if not isinstance(item, Cdrom):
        return item.device_type == "file"
    return path_of(item).startswith("/") and not (isinstance(item, CdDrive) and item.protocol)


def _is_block_device(path: str, defined: Mapping[str, str], system: System) -> bool:
    """Return whether a path is a block device; if it cannot be seen, trust the definition, or else the path itself."""
    kind = None if system.is_remote else _kind_seen(path, system)
    if kind is None:
        kind = defined.get(path) or (
            "block" if path.startswith("/dev/") and not path.startswith("/dev/shm/") else "file"
        )
    return kind == "block"


def _kind_seen(path: str, system: HostSystem) -> Optional[str]:
    try:
        return system.files.path_kind(path)
    except VmError:
        # An unreadable path is reported when its format is read, or before the VM starts.
        return None


def _defined_kinds(existing: Optional[Any]) -> dict[str, str]:
    """Return the types (file, block) of the definition's disks by path."""
    kinds = {}
    for source in existing.iterfind("devices/disk/source") if existing is not None else ():
        for kind, attribute in (("file", "file"), ("block", "dev")):
            if source.get(attribute):
                kinds[source.get(attribute)] = kind
    return kinds


def _format_of(volume: Volume, known: Mapping[str, str], system: System, hypervisor: Hypervisor) -> Optional[str]:
    if volume.recovery_url:
        return None
    if volume.device_type in ("file", "block"):
        expected = volume.format or known.get(volume.install_path)
        if expected is None:
            return _format_read(volume, system, hypervisor)
        if not system.is_remote and not system.files.is_hidden(volume.install_path):
            _check_claim(volume, expected, known.get(volume.install_path), system)
            # In a definition libvirt may have written down the keys of all images
            if volume.luks_secret_uuid and volume.install_path not in known:
                with import_lock:
                    from .image_format import check_encryption

                check_encryption(volume, system)
        return expected
    if volume.device_type == "fusionstor":
        return known.get(volume.install_path) or _format_read(volume, system, hypervisor)
    return None


def _format_read(volume: Volume, system: System, hypervisor: Hypervisor) -> Optional[str]:
    with import_lock:
        from .image_format import format_of_file, format_of_fusionstor_image

    if volume.device_type == "fusionstor":
        return format_of_fusionstor_image(volume, system)
    return format_of_file(volume, system, hypervisor)


def _check_claim(volume: Volume, expected: str, defined: Optional[str], system: System) -> None:
    """Raise C(image_format) if the header contradicts C(expected). Without qemu-img: every run checks all volumes.

    C(defined): the format in the definition. With C(create) it counts too: the volume's format may be a default.
    """
    head = system.files.read_head(volume.install_path, len(QCOW2_MAGIC))
    if head is None:
        return
    is_qcow2 = head == QCOW2_MAGIC
    if is_qcow2 and defined == "raw" and volume.create is not None:
        raise VmError("image_format", _FORGED % volume.install_path, _FORGED_HINT)
    if is_qcow2 != (expected == "qcow2"):
        claimed = "has a qcow2 header" if is_qcow2 else "has no qcow2 header"
        why = "the volume's format is" if volume.format else "the definition says"
        raise VmError("image_format", "%s %s, but %s %s" % (volume.install_path, claimed, why, expected))


def _chap_secrets(vm: Vm, hypervisor: Hypervisor) -> dict[str, str]:
    names = {
        lun_of(volume).iqn
        for volume in vm.volumes
        if volume.device_type == "iscsi" and volume.chap_username and not uses_host_initiator(volume)
    }
    if not names:
        return {}
    secrets = hypervisor.known_secrets().values()
    return {secret.usage: secret.uuid for secret in secrets if secret.kind == "iscsi" and secret.usage in names}
