# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk whose boot sector reports a crash when it receives anything on COM1.

It represents any guest whose kernel panics and has a driver for QEMU's panic device (pvpanic, model isa). It writes
"B" when it boots, and dots from then on.
"""

from __future__ import annotations

from pathlib import Path

from ansible_collections.zstack.kvm.tests.support.serial_console import (
    MissingOutputError,
    console_path,
    wait_for_text,
    wait_in_terminal,
)
from ansible_collections.zstack.kvm.tests.support.virsh import state
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

_BOOTS = "B"
_PROGRAM = bytes.fromhex(
    "fb"  # sti: the BIOS timer ends each hlt
    "baf803 b042 ee"  # send a B: it boots
    "f4 baf803 b02e ee"  # send a dot
    "bafd03 ec a801 74f1"  # until COM1 has received something
    "ba0505 b001 ee"  # report a crash
    "fa f4 ebfd".replace(" ", "")
)


def write_disk(path: Path) -> Path:
    """Write a raw disk of 1 MiB, and return its path."""
    sector = _PROGRAM.ljust(510, b"\0") + b"\x55\xaa"
    path.write_bytes(sector.ljust(1024 * 1024, b"\0"))
    path.chmod(0o666)
    return path


def wait_until_up(domain: str) -> None:
    """Wait until the guest can receive something."""
    wait_for_text(domain, r"\.", 120)


def crash(domain: str) -> None:
    """Make the guest, which is up, report a crash; return when it boots again or its VM is shut off."""

    def has_happened() -> bool:
        if state(domain) == "shut off":
            return True
        try:
            wait_in_terminal(console_path(domain), _BOOTS, 1, send="!")
        except (MissingOutputError, OSError):
            return False
        return True

    wait_until(has_happened, "the guest boots again, or is off")
