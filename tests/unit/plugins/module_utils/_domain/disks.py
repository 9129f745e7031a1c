# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes with few options, and the slots that the disks of a VM get."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import DEBIAN, domain
from lxml import etree

LEGACY = {"use_virtio": False}
SCSI = {"use_virtio_scsi": True}


def volume(device_id: int, **options: Any) -> dict[str, Any]:
    """Return the options of a volume."""
    return {"install_path": "/images/%d" % device_id, "device_id": device_id, **options}


def slots(host: str = DEBIAN, **options: Any) -> dict[str, tuple[str, str]]:
    """Return bus and address (controller:bus:unit) of every disk by its name; the VM has no CD drives by default."""
    disks = domain(host, **{"cd_roms": [], **options}).iterfind("devices/disk")
    return {disk.find("target").get("dev"): _slot(disk) for disk in disks}


def _slot(disk: etree._Element) -> tuple[str, str]:
    address: Optional[etree._Element] = disk.find("address")
    numbers = [] if address is None else [address.get(name) for name in ("controller", "bus", "unit")]
    return disk.find("target").get("bus"), ":".join(numbers)
