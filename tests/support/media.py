# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and CDs with a boot sector that prints on COM1 and on the screen what has booted.

The guest repeats its text every half second on COM1, so that whoever opens the console late can read it too, and shows
it once on the screen. It never ends by itself and ignores shutdown requests. It needs x86 with a BIOS and any amount of
memory; under emulation the text appears half a second after QEMU's start.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

DISK_BYTES = 1024 * 1024
_SECTOR = 512
_CD_SECTOR = 2048
_BOOT_CATALOG = 18  # CD sectors; 17 is fixed by the El Torito specification
_BOOT_IMAGE = 19
# The partition table follows.
_CODE_LIMIT = 440


# Assembled from boot_sector/text.S and boot_sector/fill.S; tests/unit/support/test_media.py says how.
TEXT_PROGRAM = bytes.fromhex(
    "fa31c08ed0bc007cfce800005b0e1f81c33b00fb31ff89deac84c0741f88c1bafd03eca82074f8"
    "baf80388c8ee85ff75e7b40e53bb0700cd105bebdcbf0100b90900f4e2fdebcf"
)
FILL_PROGRAM = bytes.fromhex(
    "fa31c08ed80f0116397c0f20c00c010f22c0bb08008ec324fe0f22c066bf00001000266766893f6681c700100000"
    "6681ff0000000572ebeb160f003f7c00000000000000000000ffff00000092cf00"
)


def boot_sector(text: str) -> bytes:
    """Return a boot sector that prints `text` and a line end; raise ValueError if it is too long or not ASCII."""
    return _sector(TEXT_PROGRAM, text)


def _sector(code: bytes, text: str) -> bytes:
    content = code + text.encode("ascii") + b"\r\n\0"
    if len(content) > _CODE_LIMIT:
        raise ValueError(f"a boot sector has room for {_CODE_LIMIT - len(content) + len(text)} characters: {text!r}")
    return content.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"


def filling_boot_sector(text: str) -> bytes:
    """Return a boot sector that first fills 79 MiB of memory with pages of which no two are the same."""
    return _sector(FILL_PROGRAM + TEXT_PROGRAM, text)


def write_raw(path: Path, text: str, size: int = DISK_BYTES) -> Path:
    """Create a raw disk of `size` bytes that prints `text`."""
    with open(path, "wb") as disk:
        disk.write(boot_sector(text))
        disk.truncate(size)
    return path


def write_qcow2(path: Path, text: str, size: int = DISK_BYTES) -> Path:
    """Create a qcow2 disk of `size` bytes that prints `text`."""
    raw = write_raw(path.with_name(f"{path.name}.raw"), text, size)
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    return path


def write_cd(path: Path, text: str) -> Path:
    """Create an ISO image that prints `text` (El Torito, no emulation). There is nothing on it to mount."""
    path.write_bytes(cd_image(text))
    return path


def cd_image(text: str) -> bytes:
    """Return the content of the CD that write_cd creates."""
    record = b"\0CD001\x01EL TORITO SPECIFICATION".ljust(0x47, b"\0") + _BOOT_CATALOG.to_bytes(4, "little")
    sectors = {
        16: _primary_volume(),
        17: record,
        _BOOT_CATALOG: _boot_catalog(),
        _BOOT_IMAGE: boot_sector(text),
        20: b"\xffCD001\x01",
    }
    return b"".join(sectors.get(number, b"").ljust(_CD_SECTOR, b"\0") for number in range(32))


def _primary_volume() -> bytes:
    # Type, identifier and volume name: what distinguishes a CD image from any other file.
    return b"\x01CD001\x01\0" + b" " * 32 + b"ZSTACK_KVM_TEST".ljust(32)


def _boot_catalog() -> bytes:
    validation = b"\x01\0\0\0" + b"zstack.kvm".ljust(24, b"\0") + b"\0\0\x55\xaa"
    total = sum(int.from_bytes(validation[i : i + 2], "little") for i in range(0, 32, 2))
    checksum = (-total & 0xFFFF).to_bytes(2, "little")
    validation = validation[:28] + checksum + validation[30:]
    one_virtual_sector = (1).to_bytes(2, "little")
    entry = b"\x88\0\0\0\0\0" + one_virtual_sector + _BOOT_IMAGE.to_bytes(4, "little")
    return validation + entry.ljust(32, b"\0")
