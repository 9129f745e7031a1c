# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk whose boot sector only powers the machine off when its power button is pressed.

It represents any guest that shuts down on request. It is ready half a second after QEMU's start; from then on it writes
dots to COM1. The ports are those of ACPI's power management on the machine pc, where SeaBIOS puts them.
"""

from __future__ import annotations

from pathlib import Path

from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text

_PROGRAM = bytes.fromhex(
    "fb"  # sti: the BIOS timer ends each hlt
    "ba0206 b80001 ef"  # power button enable, PM1_EN (0x602), bit 8
    "baf803 b02e ee"  # send a dot
    "f4 ba0006 ed a90001 74f0"  # until PM1_STS (0x600) has bit 8, sleep, send a dot and look again
    "ba0406 b80020 ef"  # PM1_CNT (0x604): go to sleep (SLP_EN), kind 0, which is off
    "f4 ebfd".replace(" ", "")
)


def write_obedient_disk(path: Path) -> Path:
    """Write a raw disk of 1 MiB, and return its path."""
    sector = _PROGRAM.ljust(510, b"\0") + b"\x55\xaa"
    path.write_bytes(sector.ljust(1024 * 1024, b"\0"))
    path.chmod(0o666)
    return path


def wait_until_up(domain: str) -> None:
    """Wait until the guest reacts to its power button."""
    wait_for_text(domain, r"\.")
