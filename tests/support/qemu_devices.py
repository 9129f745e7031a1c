# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of devices in the QEMU of a running VM."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.zstack.kvm.tests.support.virsh import qmp, virsh

# Properties that hold a device's slot on a bus: PCI, USB, IDE, SCSI, serial ports of virtio.
_SLOT = ("addr", "port", "unit", "channel", "scsi-id", "lun", "nr")

Device = dict[str, str]


def slots(domain: str) -> dict[str, Device]:
    """Return the bus, which names its controller, and the slot on it of every device that libvirt requested.

    The keys are independent of names where possible: a NIC's MAC, a disk's file; for others, libvirt's names.
    """
    known_by = {**_files(domain), **_macs(domain)}
    return {
        known_by.get(device["id"], device["id"]): {
            name: value for name, value in device.items() if name in ("bus", *_SLOT)
        }
        for device in _devices(virsh("qemu-monitor-command", domain, "--hmp", "info qtree"))
        if device["id"]
    }


def _files(domain: str) -> dict[str, str]:
    """Return the files of disks and CDs, by the names of their drives."""
    return {
        drive["qdev"].removeprefix("/machine/peripheral/").partition("/")[0]: drive["inserted"]["file"]
        for drive in qmp(domain, "query-block")
        if "inserted" in drive and drive.get("qdev")
    }


def _macs(domain: str) -> dict[str, str]:
    """Return the MACs of NICs, by their names."""
    return {nic["name"]: nic["main-mac"] for nic in qmp(domain, "query-rx-filter")}


def _devices(tree: str) -> Iterator[Device]:
    """Yield devices with their properties: indented below the bus that each is on."""
    buses: dict[int, str] = {}
    device: Device = {}
    within = 0
    for line in tree.replace("\r", "").splitlines():
        indent = len(line) - len(line.lstrip())
        word, _space, rest = line.strip().partition(" ")
        if word == "bus:":
            buses[indent] = rest
        elif word == "dev:":
            yield from filter(None, [device])
            found = re.search('id "(.*)"', rest)
            device, within = {"bus": buses[indent - 2], "id": found[1] if found else ""}, indent + 2
        elif rest.startswith("= ") and indent == within:
            device[word] = rest[2:].strip('"')
    yield device
