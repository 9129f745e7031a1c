# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(disk): volumes and CD drives."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._spec.vm import VolumeQos
from .address import add_address
from .context import BuildContext
from .disk_layout import CdDrive, DiskSlot, VolumeDisk
from .elements import add


def add_disks(devices: etree._Element, context: BuildContext) -> None:
    """Add the volumes by device_id, then the CD drives by number."""
    for disk in context.disks.volumes:
        is_root = disk.volume is context.vm.root_volume
        _add_volume(devices, disk, context.boot.root_volume if is_root else None)
    for drive in context.disks.drives:
        _add_drive(devices, drive, context.boot.drives.get(drive.number))


def _add_volume(devices: etree._Element, disk: VolumeDisk, boot: Optional[int]) -> None:
    volume, source = disk.volume, disk.source
    element = _disk(devices, source.disk_type, source.device)
    if source.snapshot:
        element.set("snapshot", source.snapshot)
    add(element, "driver", name="qemu", type=source.driver_type, cache=volume.cache_mode)
    element.append(source.source)
    _add_slot(element, disk.slot)
    if volume.qos:
        _add_limits(element, volume.qos)
    if volume.shareable or source.shareable:
        add(element, "shareable")
    if volume.wwn and volume.use_virtio_scsi and volume.device_type != "iscsi":
        add(element, "wwn", volume.wwn)
    _add_boot(element, boot)


def _add_drive(devices: etree._Element, drive: CdDrive, boot: Optional[int]) -> None:
    source = drive.source
    element = _disk(devices, source.disk_type if source else "file", "cdrom")
    add(element, "driver", name="qemu", type="raw")
    if source:
        element.append(source.source)
    _add_slot(element, drive.slot)
    add(element, "readonly")
    _add_boot(element, boot)


def _disk(devices: etree._Element, disk_type: str, device: str) -> etree._Element:
    return add(devices, "disk", type=disk_type, device=device)


def _add_slot(element: etree._Element, slot: DiskSlot) -> None:
    add(element, "target", dev=slot.target, bus=slot.bus)
    add_address(element, slot.address)


def _add_limits(element: etree._Element, qos: VolumeQos) -> None:
    """Add limits in bytes and requests per second."""
    limits = []
    if qos.total_bandwidth is not None:
        limits.append(("total_bytes_sec", qos.total_bandwidth))
    if qos.total_iops is not None:
        limits.append(("read_iops_sec", qos.total_iops))
        limits.append(("write_iops_sec", qos.total_iops))
    if limits:
        iotune = add(element, "iotune")
        for tag, value in limits:
            add(iotune, tag, str(value))


def _add_boot(element: etree._Element, order: Optional[int]) -> None:
    if order is not None:
        add(element, "boot", order=str(order))
