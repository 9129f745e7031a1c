# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's disk, which boots by BIOS and by UEFI, and its CD, which boots by BIOS."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
DISK_MIB = 48
PARTITION_START = 2048  # sectors: 1 MiB, where every tool of today puts the first partition
FAT16_LBA = 0x0E
BOOTABLE = 0x80
# Messages on both consoles; the rest saves a third of the time that the kernel takes under emulation
# On a busy machine an emulated timer may be so late that the kernel takes it for broken, and stops: no_timer_check.
KERNEL_PARAMETERS = "console=tty0 console=ttyS0,115200 quiet nokaslr mitigations=off cryptomgr.notests no_timer_check"


@dataclass(frozen=True)
class BootMedia:
    """The sources of the media: the kernel, the initial RAM disk, the unpacked boot loaders, a scratch directory."""

    kernel: Path
    initrd: Path
    loaders: Path
    work: Path

    def write_disk(self, path: Path) -> None:
        """Write a disk with one FAT16 partition; syslinux boots it by BIOS, systemd-boot by UEFI."""
        path.unlink(missing_ok=True)
        sectors = DISK_MIB * 1024 * 1024 // SECTOR - PARTITION_START
        boot_code = (self.loaders / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()
        with open(path, "wb") as disk:
            disk.write(boot_code.ljust(446, b"\0")[:446] + _partition_entry(sectors) + bytes(48) + b"\x55\xaa")
            disk.truncate(DISK_MIB * 1024 * 1024)
        partition = f"{path}@@{PARTITION_START * SECTOR}"
        self._mtools("mformat", "-i", partition, "-T", str(sectors), "-H", str(PARTITION_START), "-h", "64", "-s", "32",
                     "-v", "GUEST", "::")  # fmt: skip
        directory = self.work / "disk"
        self._write_efi_loader(directory)
        self._copy_kernel(directory)
        (directory / "syslinux.cfg").write_text(_syslinux_configuration("disk"), encoding="utf-8")
        self._mtools("mcopy", "-i", partition, "-s", *sorted(directory.iterdir()), "::/")
        self._mtools("syslinux", "--install", "--offset", str(PARTITION_START * SECTOR), path)

    def write_iso(self, path: Path) -> None:
        """Write a CD that isolinux boots by BIOS."""
        directory = self.work / "iso"
        (directory / "isolinux").mkdir(parents=True)
        self._copy_kernel(directory)
        shutil.copyfile(self.loaders / "usr/lib/ISOLINUX/isolinux.bin", directory / "isolinux/isolinux.bin")
        modules = self.loaders / "usr/lib/syslinux/modules/bios"
        shutil.copyfile(modules / "ldlinux.c32", directory / "isolinux/ldlinux.c32")
        (directory / "isolinux/isolinux.cfg").write_text(_syslinux_configuration("cdrom"), encoding="utf-8")
        subprocess.run(
            ["xorriso", "-as", "mkisofs", "-quiet", "-V", "GUEST", "-o", path, "-b", "isolinux/isolinux.bin",
             "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", directory],
            check=True, capture_output=True, text=True,
        )  # fmt: skip

    def _copy_kernel(self, directory: Path) -> None:
        shutil.copyfile(self.kernel, directory / "vmlinuz")
        shutil.copyfile(self.initrd, directory / "initrd.gz")

    def _write_efi_loader(self, directory: Path) -> None:
        (directory / "EFI/BOOT").mkdir(parents=True)
        (directory / "loader/entries").mkdir(parents=True)
        loader = self.loaders / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
        shutil.copyfile(loader, directory / "EFI/BOOT/BOOTX64.EFI")
        (directory / "loader/loader.conf").write_text("timeout 0\n", encoding="utf-8")
        entry = f"title guest\nlinux /vmlinuz\ninitrd /initrd.gz\noptions {KERNEL_PARAMETERS} guest.medium=disk\n"
        (directory / "loader/entries/guest.conf").write_text(entry, encoding="utf-8")

    def _mtools(self, *command: str | os.PathLike[str]) -> None:
        # mtools refuses disks whose geometry it finds odd; ours is made for LBA
        environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment)


def _partition_entry(sectors: int) -> bytes:
    """Return an entry of the partition table; its cylinder-head-sector fields say "beyond CHS", LBA counts."""
    beyond_chs = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", BOOTABLE, beyond_chs, FAT16_LBA, beyond_chs, PARTITION_START, sectors)


def _syslinux_configuration(medium: str) -> str:
    return (
        "DEFAULT guest\nPROMPT 0\nTIMEOUT 0\nLABEL guest\n"
        f" KERNEL /vmlinuz\n APPEND initrd=/initrd.gz {KERNEL_PARAMETERS} guest.medium={medium}\n"
    )
