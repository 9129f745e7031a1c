# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses of disks and CD drives, by their numbers.

A VM whose C(cd_roms) lists its drives gets the slots of today's ZStack; the others, where every drive exists, get those
of ZStack 2.3.1, so that no disk of theirs moves.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from .._spec.vm import DeviceAddress, DriveSlot, Vm, Volume

# By device_id. ZStack keeps c for the CD.
LETTERS = "abdefghijklmnopqrstuvwxyz"
# By device_id, where up to three CD drives are SCSI disks too.
_LETTERS_BESIDE_SCSI_DRIVES = "abfghijklmnopqrstuvwxyzde"
_LETTERS_OF_DRIVES = "cde"

# IDE has two channels with two units each. The CD drives are where ZStack puts them. The volumes a, b and d are where
# libvirt puts ZStack's, by their letter; e, for which libvirt has no slot, gets the one that is left.
_IDE_VOLUMES = ((0, 0), (0, 1), (1, 1), (1, 0))
_IDE_DRIVES = ((0, 1), (1, 0), (1, 1))

# Where ZStack puts the volumes of guests that have no virtio driver, beside its CD drives.
_IDE_VOLUMES_OF_OTHER = ((0, 0), (1, 1), (1, 0))
_SATA_VOLUMES_OF_OTHER = (0, 4, 5)

_SATA_DRIVES = ("sdc", "sdaa", "sdab")
_SATA_PORTS = 6

# The SCSI unit of the first CD drive, and the unit that no device_id has, used when a volume has taken that one.
SCSI_DRIVE_UNIT = 2
SCSI_FREE_UNIT = len(LETTERS)


class DiskSlot(NamedTuple):
    """C(target) is the name in the domain (the guest may use another). Without an address, libvirt chooses it."""

    target: str
    bus: str
    address: Optional[DeviceAddress] = None


class VolumeSlots:
    """Gives the volumes of a VM their slots; those on IDE and SATA in order of device_id."""

    def __init__(self, vm: Vm, is_aarch64: bool) -> None:
        self._lists_drives = vm.cd_roms is not None
        self._letters = _LETTERS_BESIDE_SCSI_DRIVES if is_aarch64 and self._lists_drives else LETTERS
        self._is_other = vm.image_platform == "Other"
        self._names_of_drives = {"hd" + _LETTERS_OF_DRIVES[drive.device_id] for drive in vm.cd_roms or ()}
        self._given = {volume.address for volume in vm.volumes if volume.address is not None}
        self._names: set[str] = set()
        self._fixed = 0

    def scsi(self, device_id: int, controller: int = 0) -> DiskSlot:
        """Return the slot on the SCSI bus."""
        letter = self._letters[device_id]
        unit = ord(letter) - ord("a") if self._lists_drives else device_id
        return DiskSlot("sd" + letter, "scsi", DriveSlot(controller, 0, 0, unit))

    def of(self, volume: Volume, bus: str) -> Optional[DiskSlot]:
        """Return the slot of a volume, None if the bus has none for it."""
        if bus == "virtio":
            return DiskSlot("vd" + self._letters[volume.device_id], bus, volume.address)
        if bus == "scsi":
            slot = self.scsi(volume.device_id, volume.controller_index or 0)
            return DiskSlot(slot.target, bus, volume.address or slot.address)
        address = volume.address or self._address(volume.device_id, bus)
        return None if address is None else DiskSlot(self._name(volume, bus), bus, address)

    def _name(self, volume: Volume, bus: str) -> str:
        letter = LETTERS[volume.device_id]
        if not self._lists_drives:
            # ZStack names file-backed IDE disks like this; libvirt takes only the name from it.
            return ("sd" if bus == "sata" or volume.device_type in ("file", "block") else "hd") + letter
        names = ["hd" + each for each in (letter, *LETTERS[LETTERS.index("f") :])]
        name = next(each for each in names if each not in self._names_of_drives | self._names)
        self._names.add(name)
        return name

    def _address(self, device_id: int, bus: str) -> Optional[DriveSlot]:
        if self._is_other:
            return self._next_fixed(bus)
        if bus == "sata":
            return _sata_port(device_id if device_id == 0 else device_id + len(_SATA_DRIVES))
        return DriveSlot(0, _IDE_VOLUMES[device_id][0], 0, _IDE_VOLUMES[device_id][1]) if device_id < 4 else None

    def _next_fixed(self, bus: str) -> Optional[DriveSlot]:
        if bus == "sata":
            slots = [_sata_port(port) for port in _SATA_VOLUMES_OF_OTHER]
        else:
            slots = [DriveSlot(0, channel, 0, unit) for channel, unit in _IDE_VOLUMES_OF_OTHER]
        free = [slot for slot in slots if slot not in self._given]
        self._fixed += 1
        return free[self._fixed - 1] if self._fixed <= len(free) else None


def _sata_port(port: int) -> DriveSlot:
    """Return a port: the root volume's, those of the CD drives, then other volumes, so that none moves for another."""
    return DriveSlot(port // _SATA_PORTS, 0, 0, port % _SATA_PORTS)


def drive_slot(number: int, bus: str) -> DiskSlot:
    """Return the slot of a drive that C(cd_roms) lists."""
    letter = _LETTERS_OF_DRIVES[number]
    if bus == "ide":
        return ide_drive(number)
    if bus == "sata":
        return DiskSlot("hd" + letter, bus, DriveSlot(0, 0, 0, 1 + number))
    return DiskSlot("sd" + letter, bus, DriveSlot(0, 0, 0, SCSI_DRIVE_UNIT + number))


def ide_drive(number: int) -> DiskSlot:
    """Return the slot of an IDE drive."""
    channel, unit = _IDE_DRIVES[number]
    return DiskSlot("hd" + _LETTERS_OF_DRIVES[number], "ide", DriveSlot(0, channel, 0, unit))


def sata_drives() -> list[DiskSlot]:
    """Return the slots of the drives of a VM that does not list them."""
    return [DiskSlot(name, "sata", DriveSlot(0, 0, 0, 1 + number)) for number, name in enumerate(_SATA_DRIVES)]
