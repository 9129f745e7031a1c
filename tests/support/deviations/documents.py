# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by both forms of the deviations: reading a document and the agent's domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.zstack.kvm.tests.support.reference_cases import Case
from lxml import etree

# Without c, the CD drive's letter.
LETTERS = "abdefghijklmnopqrstuvwxyz"


def volumes(domain: etree._Element, case: Case) -> Iterator[tuple[dict[str, Any], etree._Element]]:
    """Yield the volumes of a document, each with its disk in the domain."""
    described = [case.document["rootVolume"], *case.document["dataVolumes"]]
    disks = [disk for disk in domain.iterfind("devices/disk") if disk.get("device") != "cdrom"]
    return zip(sorted(described, key=lambda volume: volume["deviceId"]), disks)


def is_scsi(disk: etree._Element) -> bool:
    """Return whether a disk is on a SCSI bus."""
    return disk.find("target").get("bus") == "scsi"


def scsi_name(volume: dict[str, Any]) -> str:
    """Return the device name that a volume has in our domain if it is on a SCSI bus."""
    return "sd" + LETTERS[volume["deviceId"]]
