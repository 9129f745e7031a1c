# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(disk): volumes, SCSI LUNs, CD drives and floppies."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._spec.vm import Volume, VolumeQos
from .._storage.seed import SEED_TARGET, seed_path
from .address import add_address
from .context import BuildContext
from .disk_layout import DriveDisk, LunDisk, VolumeDisk
from .disk_slots import DiskSlot
from .elements import add

_LIMITS = (
    ("read_bandwidth", ("read_bytes_sec",)),
    ("write_bandwidth", ("write_bytes_sec",)),
    ("total_bandwidth", ("total_bytes_sec",)),
    ("read_iops", ("read_iops_sec",)),
    ("write_iops", ("write_iops_sec",)),
    ("overall_iops", ("total_iops_sec",)),
    ("total_iops", ("read_iops_sec", "write_iops_sec")),
)


def add_disks(devices: etree._Element, context: BuildContext) -> None:
    """Add the volumes by device_id, the LUNs, the CD drives by number, and the floppies."""
    for disk in context.disks.volumes:
        _add_volume(devices, disk, context)
    for lun in context.disks.luns:
        _add_lun(devices, lun, context)
    for drive in context.disks.drives:
        _add_drive(devices, drive, context)
    for letter, path in zip("ab", context.disks.floppies):
        _add_floppy(devices, "fd" + letter, path)


def add_seed(devices: etree._Element, context: BuildContext) -> None:
    """Add the cloud-init seed: a disk that every guest with virtio sees, and that takes the slot of no CD."""
    if context.vm.cloud_init is None:
        return
    element = _disk(devices, "file", "disk")
    add(element, "driver", name="qemu", type="raw")
    add(element, "source", file=context.seed_path or seed_path(context.vm.domain_name, 1))
    add(element, "target", dev=SEED_TARGET, bus="virtio")
    add(element, "readonly")


def _add_volume(devices: etree._Element, disk: VolumeDisk, context: BuildContext) -> None:
    volume, source = disk.volume, disk.source
    element = _disk(devices, source.disk_type, source.device)
    if source.snapshot:
        element.set("snapshot", source.snapshot)
    _add_driver(element, disk, context)
    element.append(source.source)
    if volume.luks_secret_uuid:
        encryption = add(source.source, "encryption", format="luks")
        add(encryption, "secret", type="passphrase", uuid=volume.luks_secret_uuid)
    _add_slot(element, disk.slot)
    if volume.physical_block_size:
        add(element, "blockio", physical_block_size=str(volume.physical_block_size))
    if volume.qos:
        _add_limits(element, volume.qos)
    if volume.shareable or source.shareable:
        add(element, "shareable")
    if volume.serial and _is_emulated(disk):
        add(element, "serial", volume.serial)
    if volume.wwn and (volume.use_virtio_scsi or volume.use_scsi) and volume.device_type != "iscsi":
        add(element, "wwn", volume.wwn)
    _add_boot(element, context.boot.volumes.get(volume.device_id))


def _is_emulated(disk: VolumeDisk) -> bool:
    """Return whether QEMU itself emulates the disk, rather than a server on a socket or a device of the hypervisor."""
    return disk.source.device == "disk" and disk.source.disk_type != "vhostuser"


def _add_driver(element: etree._Element, disk: VolumeDisk, context: BuildContext) -> None:
    volume, source, is_virtio = disk.volume, disk.source, disk.slot.bus == "virtio"
    driver = add(element, "driver", name="qemu", type=source.driver_type)
    if source.disk_type != "vhostuser":
        driver.set("cache", volume.cache_mode)
        if volume.discard:
            driver.set("discard", volume.discard)
        if volume.native_aio:
            _set_native_aio(driver, volume, context)
    if volume.queues:
        if is_virtio:
            driver.set("queues", str(volume.queues))
        else:
            _ignored(context, volume, "queues", "only virtio disks have queues")
    if volume.io_thread:
        if is_virtio:
            driver.set("iothread", str(volume.io_thread))
        elif disk.slot.bus != "scsi" or not volume.controller_index:
            _ignored(context, volume, "io_thread", "needs a virtio disk, or a SCSI disk with a controller_index over 0")


def _set_native_aio(driver: etree._Element, volume: Volume, context: BuildContext) -> None:
    if volume.cache_mode == "none":
        driver.set("io", "native")
    else:
        _ignored(context, volume, "native_aio", "needs cache_mode none, not %s" % volume.cache_mode)


def _ignored(context: BuildContext, volume: Volume, option: str, reason: str) -> None:
    context.warnings.append("%s.%s is ignored: %s" % (volume.option_path, option, reason))


def _add_lun(devices: etree._Element, disk: LunDisk, context: BuildContext) -> None:
    element = _disk(devices, "block", "lun")
    element.set("sgio", disk.lun.sgio)
    add(element, "driver", name="qemu", type="raw", cache="none")
    add(element, "source", dev=disk.lun.path)
    _add_slot(element, disk.slot)
    _add_boot(element, context.boot.luns.get(disk.lun.device_id))


def _add_drive(devices: etree._Element, disk: DriveDisk, context: BuildContext) -> None:
    source = disk.source
    element = _disk(devices, source.disk_type if source else "file", "cdrom")
    if source and source.disk_type == "vhostuser":
        element.set("snapshot", "no")
    add(element, "driver", name="qemu", type="raw")
    if source:
        element.append(source.source)
    _add_slot(element, disk.slot)
    add(element, "readonly")
    if disk.drive and disk.drive.serial:
        add(element, "serial", disk.drive.serial)
    _add_boot(element, context.boot.drives.get(disk.number))


def _add_floppy(devices: etree._Element, target: str, path: str) -> None:
    element = _disk(devices, "file", "floppy")
    add(element, "driver", name="qemu", type="raw")
    add(element, "source", file=path)
    add(element, "target", dev=target, bus="fdc")
    add(element, "readonly")


def _disk(devices: etree._Element, disk_type: str, device: str) -> etree._Element:
    return add(devices, "disk", type=disk_type, device=device)


def _add_slot(element: etree._Element, slot: DiskSlot) -> None:
    add(element, "target", dev=slot.target, bus=slot.bus)
    add_address(element, slot.address)


def _add_limits(element: etree._Element, qos: VolumeQos) -> None:
    """Add limits in bytes and requests per second."""
    given = [(tags, getattr(qos, name)) for name, tags in _LIMITS]
    limits = [(tag, limit) for tags, limit in given if limit is not None for tag in tags]
    if limits:
        iotune = add(element, "iotune")
        for tag, value in limits:
            add(iotune, tag, str(value))


def _add_boot(element: etree._Element, order: Optional[int]) -> None:
    if order is not None:
        add(element, "boot", order=str(order))
