# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and CDs for the tests of the storage backends, and how libvirt interprets them."""

from __future__ import annotations

import functools
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Cdrom, Monitor, Volume
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import DiskSource, StorageFacts, StorageItem
from lxml import etree

NOTHING_ASKED = StorageFacts()
SCHEMA = "/usr/share/libvirt/schemas/domain.rng"
SECRET = "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab"
IQN = "iqn.2015-01.io.example:target1"
MONITORS = (Monitor("10.0.9.1", 6789), Monitor("10.0.9.2", 6790))


def volume(device_type: str, install_path: str, **options: Any) -> Volume:
    """Return a data volume with the defaults of the module's options."""
    values: dict[str, Any] = {
        "option_path": "vms[0].data_volumes[0]",
        "device_id": 1,
        "volume_uuid": None,
        "use_virtio": True,
        "use_virtio_scsi": False,
        "shareable": False,
        "cache_mode": "none",
        "wwn": None,
        "mon_info": (),
        "secret_uuid": None,
        "chap_username": None,
        "chap_password": None,
        "format": None,
        "create": None,
        "address": None,
        "qos": None,
        "use_scsi": False,
        "serial": None,
        "boot_order": None,
        "controller_index": None,
        "discard": None,
        "native_aio": False,
        "queues": None,
        "io_thread": None,
        "physical_block_size": None,
        "luks_secret_uuid": None,
        "recovery_url": None,
    }
    return Volume(device_type=device_type, install_path=install_path, **{**values, **options})


def ceph_volume(install_path: str = "ceph://pool/image", **options: Any) -> Volume:
    """Return a volume in ceph behind two monitors."""
    return volume("ceph", install_path, **{"mon_info": MONITORS, **options})


def iscsi_volume(install_path: str = "iscsi://10.0.8.8:3260/%s/2" % IQN, **options: Any) -> Volume:
    """Return a LUN without CHAP."""
    return volume("iscsi", install_path, **options)


def cdrom(path: str, **options: Any) -> Cdrom:
    """Return the CD of the first drive."""
    values: dict[str, Any] = {
        "option_path": "vms[0].boot_iso[0]",
        "image_uuid": None,
        "device_id": 0,
        "mon_info": (),
        "secret_uuid": None,
    }
    return Cdrom(path=path, **{**values, **options})


@functools.cache
def libvirt_schema() -> etree.RelaxNG:
    """Return the schema of domains."""
    return etree.RelaxNG(file=SCHEMA)


def domain_with(disk: DiskSource) -> etree._Element:
    """Return a domain with only this disk."""
    domain = etree.fromstring(
        '<domain type="qemu"><name>d</name><memory>1</memory><os><type>hvm</type></os>'
        "<devices><disk/></devices></domain>"
    )
    element = domain.find("devices/disk")
    element.set("type", disk.disk_type)
    element.set("device", disk.device)
    etree.SubElement(element, "driver", name="qemu", type=disk.driver_type)
    element.append(disk.source)
    etree.SubElement(element, "target", dev="sda")
    return domain


def source_text(item: StorageItem, facts: StorageFacts = NOTHING_ASKED) -> str:
    """Return the disk's source as text."""
    return etree.tostring(storage.disk(item, facts).source, encoding="unicode")
