# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device that a VM boots from, seen in the guest's output, its packets, and the boot indexes of its firmware."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.module_run import agreed
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp

ALL_PROTOCOLS = 3
MACS = ("fa:00:b0:07:00:01", "fa:00:b0:07:00:02")


def discs(images: Path, count: int) -> list[dict[str, Any]]:
    """Yield CDs that print their number when they boot."""
    return [
        {"path": str(media.write_cd(images / f"{number}.iso", f"I am CD {number}")), "device_id": number}
        for number in range(count)
    ]


def test_of_three_cds_the_first_boots(new_vm: NewVm, images: Path) -> None:
    vm = new_vm(boot_iso=discs(images, 3), boot_dev=["cdrom", "hd"])
    run = agreed(vm)
    assert not run.failed, run.output
    wait_for_text(vm["uuid"], "I am CD 0")
    drives = {
        drive["qdev"].rpartition("/")[2]: Path(drive["inserted"]["file"]).name
        for drive in qmp(vm["uuid"], "query-block")
        if "tray_open" in drive
    }
    assert drives == {"ide0-0-1": "0.iso", "ide0-1-0": "1.iso", "ide0-1-1": "2.iso"}


def test_a_disk_boots_before_the_cds_when_it_is_first(new_vm: NewVm, images: Path) -> None:
    vm = new_vm(boot_iso=discs(images, 1), boot_dev=["hd", "cdrom"])
    run = agreed(vm)
    assert not run.failed, run.output
    wait_for_text(vm["uuid"], "I am " + vm["uuid"])


def test_the_network_is_tried_by_the_first_nic_and_then_by_the_second_and_then_the_disk(new_vm: NewVm) -> None:
    nics = [{"bridge_name": "br_eth0", "mac": mac, "device_id": number} for number, mac in enumerate(MACS)]
    vm = new_vm(boot_dev=["network", "hd"], nics=nics)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as wire:
        wire.bind(("br_eth0", ALL_PROTOCOLS))
        run = agreed(vm)
        assert not run.failed, run.output
        assert first_sender(wire, MACS) == MACS[0]
    devices = definition(vm["uuid"], inactive=False).find("devices")
    aliases = [devices.find(f"interface/mac[@address='{mac}']/../alias").get("name") for mac in MACS]
    aliases.append(devices.find("disk[@device='disk']/alias").get("name"))
    order = [boot_index(vm["uuid"], alias) for alias in aliases]
    assert order == sorted(order) and order[0] >= 1, dict(zip(aliases, order))


def boot_index(domain: str, alias: str) -> int:
    """Return the boot index of a device that QEMU passes to the firmware."""
    return qmp(domain, "qom-get", path=f"/machine/peripheral/{alias}", property="bootindex")


def first_sender(wire: socket.socket, macs: tuple[str, ...], seconds: float = 60) -> str:
    """Return the first of these MACs that sends something on a bridge."""
    deadline = time.monotonic() + seconds
    wire.settimeout(seconds)
    while time.monotonic() < deadline:
        sender = wire.recv(2048)[6:12].hex(":")
        if sender in macs:
            return sender
    raise AssertionError(f"none of {json.dumps(macs)} sent anything")
