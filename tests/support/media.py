# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and CDs with one boot sector of our own, which says on COM1 and on the screen what booted.

The guest repeats its text every half second on COM1, so that whoever opens the console late reads it all the same,
and shows it once on the screen. It never ends by itself and answers no shutdown request. It is for x86 with a BIOS,
in any amount of memory; under emulation the text is there half a second after QEMU's start.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Union

DISK_BYTES = 1024 * 1024
_SECTOR = 512
_CD_SECTOR = 2048
_BOOT_CATALOG = 18  # CD sectors; 17 is fixed by the El Torito specification
_BOOT_IMAGE = 19
# What lies behind it in a boot sector is the partition table.
_CODE_LIMIT = 440


class _Label(str):
    """A place in the program."""


class _Jump(bytes):
    """A jump with an 8 bit distance, which is filled in."""

    target: str

    def __new__(cls, opcode: str, target: str) -> _Jump:
        jump = super().__new__(cls, bytes.fromhex(opcode) + b"\0")
        jump.target = target
        return jump


def _code(*instructions: str) -> bytes:
    return bytes.fromhex("".join(instructions))


# 16 bit code that runs wherever it was loaded. BX: the text. DI: 0 until the text was on the screen.
_PROGRAM: tuple[Union[_Label, bytes], ...] = (
    _code("fa", "31c0", "8ed0", "bc007c", "fc"),  # cli; ss = 0; sp = 0x7c00; cld
    _code("e80000"),  # call the next instruction: its address is then on the stack
    _Label("origin"),
    _code("5b", "0e", "1f"),  # pop bx; ds = cs
    _code("81c3"),  # add bx, (distance from origin to text, see below)
    _Label("distance"),
    _code("0000"),
    _code("fb", "31ff"),  # sti, as the BIOS timer ends each hlt; di = 0
    _Label("again"),
    _code("89de"),  # si = bx
    _Label("next"),
    _code("ac", "84c0"),  # lodsb; test al, al
    _Jump("74", "pause"),  # jz
    _code("88c1"),  # cl = al
    _Label("busy"),
    _code("bafd03", "ec", "a820"),  # COM1's line status: is the transmitter free?
    _Jump("74", "busy"),  # jz
    _code("baf803", "88c8", "ee"),  # send cl
    _code("85ff"),  # test di, di
    _Jump("75", "next"),  # jnz
    _code("b40e", "53", "bb0700", "cd10", "5b"),  # BIOS: write al to the screen; bx is kept
    _Jump("eb", "next"),  # jmp
    _Label("pause"),
    _code("bf0100", "b90900"),  # di = 1; cx = 9 ticks of the timer, of 18.2 a second
    _Label("tick"),
    _code("f4"),  # hlt
    _Jump("e2", "tick"),  # loop
    _Jump("eb", "again"),  # jmp
    _Label("text"),
)


def _assemble() -> bytes:
    places, size = {}, 0
    for part in _PROGRAM:
        if isinstance(part, _Label):
            places[str(part)] = size
        else:
            size += len(part)
    code = bytearray()
    for part in _PROGRAM:
        if isinstance(part, _Label):
            continue
        code += part
        if isinstance(part, _Jump):
            code[-1] = (places[part.target] - len(code)) & 0xFF
    distance = places["distance"]
    code[distance : distance + 2] = (places["text"] - places["origin"]).to_bytes(2, "little")
    return bytes(code)


def boot_sector(text: str) -> bytes:
    """The 512 bytes of a boot sector that prints `text` and a line end. ValueError when it is too long or not ASCII."""
    return _sector(_assemble(), text)


def _sector(code: bytes, text: str) -> bytes:
    content = code + text.encode("ascii") + b"\r\n\0"
    if len(content) > _CODE_LIMIT:
        raise ValueError(f"a boot sector has room for {_CODE_LIMIT - len(content) + len(text)} characters: {text!r}")
    return content.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"


# Writes a number into every page from 1 MiB to 80 MiB, which takes a segment of 4 GiB.
_FILL = _code(
    "fa", "31c0", "8ed8",  # cli; ds = 0
    "0f0116397c",  # load the table of segments
    "0f20c0", "0c01", "0f22c0",  # protected mode
    "bb0800", "8ec3",  # es = the table's only segment
    "24fe", "0f22c0",  # real mode, in which es keeps its limit
    "66bf00001000",  # edi = 1 MiB
    "266766893f",  # es:[edi] = edi
    "6681c700100000",  # edi += 4096
    "6681ff00000005", "72eb",  # until 80 MiB
    "eb16",  # go on behind the table
    "0f00 3f7c0000", "0000000000000000", "ffff0000 0092cf00",  # its size and place (0x7c3f), and the table
)  # fmt: skip


def filling_boot_sector(text: str) -> bytes:
    """Like boot_sector, of one that first fills 79 MiB of memory with pages of which no two are the same."""
    return _sector(_FILL + _assemble(), text)


def write_raw(path: Path, text: str, size: int = DISK_BYTES) -> Path:
    """Make a raw disk of `size` bytes that prints `text`."""
    with open(path, "wb") as disk:
        disk.write(boot_sector(text))
        disk.truncate(size)
    return path


def write_qcow2(path: Path, text: str, size: int = DISK_BYTES) -> Path:
    """Make a qcow2 disk of `size` bytes that prints `text`."""
    raw = write_raw(path.with_name(f"{path.name}.raw"), text, size)
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    return path


def write_cd(path: Path, text: str) -> Path:
    """Make an ISO image that prints `text` (El Torito, no emulation). There is nothing on it to mount."""
    path.write_bytes(cd_image(text))
    return path


def cd_image(text: str) -> bytes:
    """The content of the CD that write_cd makes."""
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
    # Type, identifier and volume name: what tells a CD image from any other file.
    return b"\x01CD001\x01\0" + b" " * 32 + b"ZSTACK_KVM_TEST".ljust(32)


def _boot_catalog() -> bytes:
    validation = b"\x01\0\0\0" + b"zstack.kvm".ljust(24, b"\0") + b"\0\0\x55\xaa"
    total = sum(int.from_bytes(validation[i : i + 2], "little") for i in range(0, 32, 2))
    checksum = (-total & 0xFFFF).to_bytes(2, "little")
    validation = validation[:28] + checksum + validation[30:]
    one_virtual_sector = (1).to_bytes(2, "little")
    entry = b"\x88\0\0\0\0\0" + one_virtual_sector + _BOOT_IMAGE.to_bytes(4, "little")
    return validation + entry.ljust(32, b"\0")
