# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan bus, name and slot of every volume, CD drive, SCSI LUN and floppy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, count
from typing import NamedTuple, Optional, Union

from .._errors.errors import Problem
from .._spec.vm import CdDrive, Cdrom, DeviceAddress, DriveSlot, PciSlot, ScsiLun, Vm, Volume
from .._storage.base import DiskSource, StorageItem
from .disk_slots import (
    SCSI_DRIVE_UNIT,
    SCSI_FREE_UNIT,
    DiskSlot,
    VolumeSlots,
    drive_slot,
    ide_drive,
    sata_drives,
)

_SourceOf = Callable[[StorageItem], DiskSource]


# The highest numbers in a drive address that libvirt takes (qemu_validate.c).
_HIGHEST = {
    "ide": {"controller": 0, "bus": 1, "target": 0, "unit": 1},
    "sata": {"bus": 0, "target": 0, "unit": 5},
    "scsi": {"bus": 0},
}
_ADDRESS_HINT = "correct the address, or leave it out"


class VolumeDisk(NamedTuple):
    """A volume, its source and its slot."""

    volume: Volume
    source: DiskSource
    slot: DiskSlot


class LunDisk(NamedTuple):
    """A SCSI LUN and its slot."""

    lun: ScsiLun
    slot: DiskSlot


class DriveDisk(NamedTuple):
    """A CD drive; C(source) is None if it is empty. C(drive): its options if they are given."""

    number: int
    source: Optional[DiskSource]
    slot: DiskSlot
    drive: Optional[CdDrive] = None


class DiskLayout(NamedTuple):
    """All disks of a VM: the volumes by device_id, the LUNs and drives by number, the floppy images that exist."""

    volumes: tuple[VolumeDisk, ...]
    drives: tuple[DriveDisk, ...]
    luns: tuple[LunDisk, ...] = ()
    floppies: tuple[str, ...] = ()


def plan_disks(
    vm: Vm, is_aarch64: bool, has_ide: bool, source_of: _SourceOf, floppies: Collection[str], problems: list[Problem]
) -> DiskLayout:
    """Return the layout of all disks. A disk without a slot is left out and becomes a problem."""
    legacy_bus = "scsi" if is_aarch64 else "ide" if has_ide else "sata"
    slots = VolumeSlots(vm, is_aarch64)
    volumes = []
    for volume in vm.volumes:
        source = source_of(volume)
        bus = source.bus or _bus(volume, legacy_bus)
        slot = slots.of(volume, bus)
        if slot is None:
            problems.append(_no_slot(vm, volume, bus))
            continue
        problems.extend(_address_problems(volume, volume.address, slot.bus))
        volumes.append(VolumeDisk(volume, source, slot))
    luns = []
    for lun in vm.scsi_luns:
        slot = slots.scsi(lun.device_id)
        problems.extend(_address_problems(lun, lun.address, slot.bus))
        luns.append(LunDisk(lun, slot._replace(address=lun.address or slot.address)))
    if vm.cd_roms is None:
        drives = _plan_drives(vm, legacy_bus, volumes, luns, source_of, problems)
    else:
        drives = _given_drives(vm.cd_roms, legacy_bus, source_of, problems)
    layout = DiskLayout(
        tuple(volumes),
        drives,
        tuple(luns),
        # The only machine of aarch64 has no floppy controller.
        () if is_aarch64 else tuple(path for path in vm.floppies if path in floppies),
    )
    problems.extend(_taken(layout))
    return layout


def _no_slot(vm: Vm, volume: Volume, bus: str) -> Problem:
    if vm.image_platform == "Other":
        message = "insufficient IDE address: with image_platform Other, %s has three slots for disks" % bus.upper()
    else:
        message = "IDE has no slot for device_id %d: its four slots are device_id 0 to 3" % volume.device_id
    return Problem(
        "%s.device_id" % volume.option_path,
        message,
        "impossible_layout",
        "set use_virtio or use_virtio_scsi, or use the machine q35, whose SATA has enough ports",
    )


def _address_problems(
    device: Union[Volume, CdDrive, ScsiLun], address: Optional[DeviceAddress], bus: str
) -> Iterator[Problem]:
    if address is not None and (bus == "virtio") != isinstance(address, PciSlot):
        kind = "pci" if bus == "virtio" else "drive"
        yield Problem(
            "%s.address.type" % device.option_path,
            "must be %s for a disk on the bus %s" % (kind, bus),
            "impossible_layout",
            _ADDRESS_HINT,
        )
    if isinstance(address, DriveSlot):
        for name, highest in _HIGHEST.get(bus, {}).items():
            if getattr(address, name) > highest:
                option_path = "%s.address.%s" % (device.option_path, name)
                message = "must be at most %d for a disk on the bus %s" % (highest, bus)
                yield Problem(option_path, message, "impossible_layout", _ADDRESS_HINT)


def _bus(volume: Volume, legacy_bus: str) -> str:
    if volume.use_virtio_scsi or volume.use_scsi:
        return "scsi"
    return "virtio" if volume.use_virtio else legacy_bus


def _given_drives(
    given: Iterable[CdDrive], bus: str, source_of: _SourceOf, problems: list[Problem]
) -> tuple[DriveDisk, ...]:
    drives = []
    for drive in sorted(given, key=lambda each: each.device_id):
        problems.extend(_address_problems(drive, drive.address, bus))
        slot = drive_slot(drive.device_id, bus)
        slot = slot._replace(address=drive.address or slot.address)
        drives.append(DriveDisk(drive.device_id, source_of(drive) if drive.path else None, slot, drive))
    return tuple(drives)


def _taken(layout: DiskLayout) -> Iterator[Problem]:
    """Yield disks whose name or drive address another disk has."""
    first: dict[tuple[str, object], str] = {}
    for option_path, slot, has_address in _slots(layout):
        claims: list[tuple[str, object]] = [("name", slot.target)]
        if isinstance(slot.address, DriveSlot):
            claims.append((slot.bus, slot.address))
        for kind, value in claims:
            other = first.setdefault((kind, value), option_path)
            if other != option_path:
                what = "name %s" % value if kind == "name" else "%s (bus %s)" % (value, kind)
                yield Problem(
                    "%s.%s" % (option_path, "address" if has_address else "device_id"),
                    "the disk has the %s, which %s has too" % (what, other),
                    "impossible_layout",
                    "change the device_id or the address of one of them",
                )
                break


def _slots(layout: DiskLayout) -> Iterator[tuple[str, DiskSlot, bool]]:
    for volume in layout.volumes:
        yield volume.volume.option_path, volume.slot, volume.volume.address is not None
    for lun in layout.luns:
        yield lun.lun.option_path, lun.slot, lun.lun.address is not None
    for drive in layout.drives:
        if drive.drive is not None:
            yield drive.drive.option_path, drive.slot, drive.drive.address is not None


def _plan_drives(
    vm: Vm,
    bus: str,
    disks: Sequence[VolumeDisk],
    luns: Sequence[LunDisk],
    source_of: _SourceOf,
    problems: list[Problem],
) -> tuple[DriveDisk, ...]:
    cdroms = {cdrom.device_id: cdrom for cdrom in vm.boot_iso}
    beside = [disk for disk in disks if disk.slot.bus == bus]
    taken = {disk.slot.address for disk in beside} | {lun.slot.address for lun in luns}
    drives = []
    for number, slot in enumerate(_drive_slots(bus, taken)):
        cdrom = cdroms.pop(number, None)
        in_the_way = [disk for disk in beside if disk.slot.address == slot.address or disk.slot.target == slot.target]
        if not in_the_way:
            drives.append(DriveDisk(number, source_of(cdrom) if cdrom else None, slot))
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
        return [ide_drive(number) for number in range(3)]
    if bus == "sata":
        return sata_drives()
    units = (DriveSlot(0, 0, 0, unit) for unit in chain((SCSI_DRIVE_UNIT,), count(SCSI_FREE_UNIT)))
    return [DiskSlot("sdc", bus, next(unit for unit in units if unit not in taken))]
