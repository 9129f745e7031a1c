# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan bus, name and slot of every disk and CD drive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Optional

from .._errors.errors import Problem
from .._spec.vm import Cdrom, DeviceAddress, DriveSlot, PciSlot, Vm, Volume
from .._storage.base import DiskSource, StorageItem

# By device_id. ZStack keeps c for the CD.
LETTERS = "abdefghijklmnopqrstuvwxyz"

# IDE has two channels with two units each. The CD drives are where ZStack puts them. The volumes a, b and d are where
# libvirt puts ZStack's, by their letter; e, for which libvirt has no slot, gets the one that is left.
_IDE_VOLUMES = ((0, 0), (0, 1), (1, 1), (1, 0))
_IDE_DRIVES = (("hdc", 0, 1), ("hdd", 1, 0), ("hde", 1, 1))

_SATA_DRIVES = ("sdc", "sdaa", "sdab")
_SATA_PORTS = 6

# The SCSI unit of the CD drive, and the unit that no device_id has, used when a volume has taken that one.
_SCSI_DRIVE_UNIT = 2
_SCSI_FREE_UNIT = len(LETTERS)


@dataclass(frozen=True)
class DiskSlot:
    """C(target) is the name in the domain (the guest may use another). Without an address, libvirt chooses it."""

    target: str
    bus: str
    address: Optional[DeviceAddress] = None


@dataclass(frozen=True)
class VolumeDisk:
    """A volume, its source and its slot."""

    volume: Volume
    source: DiskSource
    slot: DiskSlot


@dataclass(frozen=True)
class CdDrive:
    """A CD drive; C(source) is None if it is empty."""

    number: int
    source: Optional[DiskSource]
    slot: DiskSlot


@dataclass(frozen=True)
class DiskLayout:
    """All disks of a VM: the volumes by device_id, the drives by number."""

    volumes: tuple[VolumeDisk, ...]
    drives: tuple[CdDrive, ...]


def plan_disks(
    vm: Vm, is_aarch64: bool, has_ide: bool, source_of: Callable[[StorageItem], DiskSource], problems: list[Problem]
) -> DiskLayout:
    """Return the layout of all disks. A disk without a slot is left out and becomes a problem."""
    legacy_bus = "scsi" if is_aarch64 else "ide" if has_ide else "sata"
    disks = []
    for volume in vm.volumes:
        source = source_of(volume)
        slot = _volume_slot(volume, source.bus or _bus(volume, legacy_bus))
        if slot and volume.address:
            problems.extend(_address_problems(volume, volume.address, slot.bus))
            slot = replace(slot, address=volume.address)
        if slot:
            disks.append(VolumeDisk(volume, source, slot))
        else:
            problems.append(
                Problem(
                    "%s.device_id" % volume.option_path,
                    "IDE has no slot for device_id %d: its four slots are device_id 0 to 3" % volume.device_id,
                    "impossible_layout",
                    "set use_virtio or use_virtio_scsi, or use the machine q35, whose SATA has enough ports",
                )
            )
    return DiskLayout(tuple(disks), _plan_drives(vm, legacy_bus, disks, source_of, problems))


def _address_problems(volume: Volume, address: DeviceAddress, bus: str) -> Iterator[Problem]:
    if (bus == "virtio") != isinstance(address, PciSlot):
        kind = "pci" if bus == "virtio" else "drive"
        yield Problem(
            "%s.address.type" % volume.option_path,
            "must be %s for a disk on the bus %s" % (kind, bus),
            "impossible_layout",
            "correct the address, or leave it out",
        )


def _bus(volume: Volume, legacy_bus: str) -> str:
    if volume.use_virtio_scsi:
        return "scsi"
    return "virtio" if volume.use_virtio else legacy_bus


def _volume_slot(volume: Volume, bus: str) -> Optional[DiskSlot]:
    device_id = volume.device_id
    letter = LETTERS[device_id]
    if bus == "virtio":
        return DiskSlot("vd" + letter, bus)
    if bus == "scsi":
        return DiskSlot("sd" + letter, bus, DriveSlot(0, 0, 0, device_id))
    if bus == "sata":
        return DiskSlot("sd" + letter, bus, _sata_volume(device_id))
    if device_id >= len(_IDE_VOLUMES):
        return None
    # ZStack names file-backed IDE disks like this; libvirt takes only the name from it.
    prefix = "sd" if volume.device_type == "file" else "hd"
    return _ide_slot(prefix + letter, *_IDE_VOLUMES[device_id])


def _ide_slot(name: str, channel: int, unit: int) -> DiskSlot:
    return DiskSlot(name, "ide", DriveSlot(0, channel, 0, unit))


def _sata_volume(device_id: int) -> DriveSlot:
    """Return the port of a volume: root volume, CD drives, then other volumes, so that none moves for another."""
    port = device_id if device_id == 0 else device_id + len(_SATA_DRIVES)
    return DriveSlot(port // _SATA_PORTS, 0, 0, port % _SATA_PORTS)


def _plan_drives(
    vm: Vm, bus: str, disks: list[VolumeDisk], source_of: Callable[[StorageItem], DiskSource], problems: list[Problem]
) -> tuple[CdDrive, ...]:
    cdroms = {cdrom.device_id: cdrom for cdrom in vm.boot_iso}
    beside = [disk for disk in disks if disk.slot.bus == bus]
    drives = []
    for number, slot in enumerate(_drive_slots(bus, {disk.slot.address for disk in beside})):
        cdrom = cdroms.pop(number, None)
        in_the_way = [disk for disk in beside if disk.slot.address == slot.address or disk.slot.target == slot.target]
        if not in_the_way:
            drives.append(CdDrive(number, source_of(cdrom) if cdrom else None, slot))
        elif cdrom:
            problems.extend(_collision(disk, number, slot, cdrom) for disk in in_the_way)
    for cdrom in cdroms.values():
        problems.append(
            Problem(
                "%s.device_id" % cdrom.option_path,
                "there is no CD drive %d: an aarch64 VM has only drive 0" % cdrom.device_id,
                "impossible_layout",
            )
        )
    return tuple(drives)


def _collision(disk: VolumeDisk, number: int, drive: DiskSlot, cdrom: Cdrom) -> Problem:
    shared = "slot" if disk.slot.address == drive.address else "name (%s)" % drive.target
    return Problem(
        "%s.device_id" % disk.volume.option_path,
        "the IDE volume with device_id %d has the %s of CD drive %d, which has a CD in it (%s)"
        % (disk.volume.device_id, shared, number, cdrom.option_path),
        "impossible_layout",
        "set use_virtio or use_virtio_scsi in the volume, or put the CD into another drive",
    )


def _drive_slots(bus: str, taken: Collection[Optional[DeviceAddress]]) -> list[DiskSlot]:
    if bus == "ide":
        return [_ide_slot(*drive) for drive in _IDE_DRIVES]
    if bus == "sata":
        return [DiskSlot(name, bus, DriveSlot(0, 0, 0, 1 + number)) for number, name in enumerate(_SATA_DRIVES)]
    address = DriveSlot(0, 0, 0, _SCSI_DRIVE_UNIT)
    return [DiskSlot("sdc", bus, DriveSlot(0, 0, 0, _SCSI_FREE_UNIT) if address in taken else address)]
