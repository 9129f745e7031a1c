# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of single options of volumes, CD drives, floppies and SCSI LUNs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import values
from .device_addresses import ADDRESS_CHECKS

MAX_DATA_VOLUMES = 24
MAX_DRIVES = 3

_INT32 = (1 << 31) - 1
_QEMU_THROTTLE_MAX = 10**15
_MAX_QUEUES = 1024
_MAX_SERIAL = 36
_SERIAL = re.compile(r"[A-Za-z0-9_.+ -]+")

BOOT_ORDER = values.number(1, _INT32)


def serial(value: str) -> str:
    """Return a disk's serial number in characters that libvirt's schema accepts."""
    if not _SERIAL.fullmatch(value):
        raise ValueError('is not a serial number: letters, digits, blanks, "_", "-", "+" and "." only')
    if len(value) > _MAX_SERIAL:
        raise ValueError("is longer than %d characters, the limit of a SCSI disk's serial number" % _MAX_SERIAL)
    return value


def block_size(value: int) -> int:
    """Return the size of a disk's physical blocks in bytes, as QEMU accepts it."""
    if not 512 <= value <= 1 << 21 or value & (value - 1):
        raise ValueError("is not a block size: a power of 2 from 512 to 2097152")
    return value


_LIMIT = values.number(1, _QEMU_THROTTLE_MAX)

VOLUME_CHECKS: Mapping[str, values.Check] = {
    "install_path": values.line,
    "volume_uuid": values.uuid,
    "wwn": values.wwn,
    "secret_uuid": values.uuid,
    "chap_username": values.line,
    "chap_password": values.line,
    "serial": serial,
    "boot_order": BOOT_ORDER,
    "physical_block_size": block_size,
    "queues": values.number(1, _MAX_QUEUES),
    "io_thread": BOOT_ORDER,
    "controller_index": values.number(0, 255),
    "luks_secret_uuid": values.uuid,
    "recovery_url": values.line,
    "create.size": values.disk_size,
    "create.image": values.line,
    "qos.read_bandwidth": _LIMIT,
    "qos.write_bandwidth": _LIMIT,
    "qos.total_bandwidth": _LIMIT,
    "qos.read_iops": _LIMIT,
    "qos.write_iops": _LIMIT,
    "qos.overall_iops": _LIMIT,
    "qos.total_iops": _LIMIT,
    **ADDRESS_CHECKS,
}
CDROM_CHECKS: Mapping[str, values.Check] = {
    "path": values.line,
    "image_uuid": values.uuid,
    "device_id": values.number(0, MAX_DRIVES - 1),
    "secret_uuid": values.uuid,
}
DRIVE_CHECKS: Mapping[str, values.Check] = {
    **CDROM_CHECKS,
    "boot_order": BOOT_ORDER,
    "serial": serial,
    **ADDRESS_CHECKS,
}
LUN_CHECKS: Mapping[str, values.Check] = {
    "path": values.absolute_path,
    "device_id": values.number(0, MAX_DATA_VOLUMES),
    "boot_order": BOOT_ORDER,
    **ADDRESS_CHECKS,
}
