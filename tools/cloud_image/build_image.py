# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a cloud image of Debian from its packages: systemd, cloud-init, an SSH server and QEMU's guest agent."""

from __future__ import annotations

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"
PACKAGES = (
    "busybox-static",
    "cloud-guest-utils",
    "cloud-init",
    "dbus",  # without it, neither the power button nor the guest agent shuts the guest down
    "e2fsprogs",
    "iproute2",
    "kmod",
    "libnss-myhostname",
    "linux-image-cloud-amd64",
    "openssh-server",
    "qemu-guest-agent",
    "sudo",
    "syslinux-common",
    "systemd-sysv",
    "udev",
)
# What must be installed on the machine that builds: command -> Debian package
TOOLS = {
    "busybox": "busybox-static",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "qemu-img": "qemu-utils",
    "syslinux": "syslinux",
}
DPKG_OPTIONS = (
    "force-confold",
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/i18n/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
# The kernel's package wants an initial RAM disk of its own, which takes longer than everything else.
NO_INITRAMFS = (
    'mkdir -p "$1/etc/initramfs-tools" && echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"'
)
BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4")
# Hardware that a virtual machine does not have
UNUSED_MODULES = (
    "sound", "net/wireless", "net/bluetooth", "drivers/gpu", "drivers/infiniband", "drivers/media", "drivers/usb",
    "drivers/hid", "drivers/input", "drivers/target", "drivers/isdn", "drivers/iio", "drivers/staging", "drivers/nvme",
    "drivers/ata", "drivers/scsi", "drivers/md", "drivers/net/ethernet", "drivers/net/wireless",
)  # fmt: skip
# Nothing that a guest of a test waits for needs them.
MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "getty@.service", "ldconfig.service", "serial-getty@.service", "systemd-binfmt.service",
    "systemd-hwdb-update.service", "systemd-journal-catalog-update.service", "systemd-journal-flush.service",
    "systemd-pstore.service", "systemd-random-seed.service", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
)  # fmt: skip
KERNEL_PARAMETERS = (
    "console=ttyS0,115200 quiet nokaslr mitigations=off cryptomgr.notests no_timer_check net.ifnames=0 "
    "systemd.show_status=0 systemd.condition-first-boot=false apparmor=0 audit=0"
)
SECTOR = 512
MIB = 1024 * 1024
BOOT_MIB, ROOT_MIB = 24, 512
FAT16_LBA, LINUX, BOOTABLE = 0x0E, 0x83, 0x80


class BuildError(Exception):
    """A build is impossible; the text says why, and what to do about it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, metavar="FILE", help="the image, in the format qcow2")
    arguments = parser.parse_args()
    try:
        build(arguments.output.resolve())
    except BuildError as error:
        print(f"cloud image: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        print(f"cloud image: this command failed: {command}\n{error.stderr or ''}".rstrip(), file=sys.stderr)
        return 1
    return 0


def build(output: Path) -> None:
    """Build the image. An unfinished one never has the name."""
    _check_machine()
    started = time.monotonic()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="zstack-kvm-cloud-image-", dir=output.parent) as directory:
        work = Path(directory)
        root = work / "root"
        _run(*_bootstrap(root))
        kernel = _take_kernel(root, work)
        _write_initrd(root, work / "initrd", kernel)
        loader = (root / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()
        _configure(root)
        _write_disk(work, root, loader)
        unfinished = work / output.name
        _run("qemu-img", "convert", "-O", "qcow2", work / "disk.raw", unfinished)
        unfinished.chmod(0o644)
        unfinished.replace(output)
    print(f"cloud image: built in {time.monotonic() - started:.0f} s: {output}", flush=True)


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise BuildError("Debian's packages are installed into a directory as root")
    missing = sorted({package for command, package in TOOLS.items() if shutil.which(command) is None})
    if missing:
        raise BuildError(f"missing tools; install them: apt-get install {' '.join(missing)}")


def _bootstrap(root: Path) -> list[str]:
    options = ['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"']
    options += [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
    options += [f"--essential-hook={NO_INITRAMFS}"]
    common = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"]
    return [*common, *options, f"--include={','.join(PACKAGES)}", SUITE, str(root), _mirror()]


def _mirror() -> str:
    """Return the mirror from which this machine has most of Debian's packages."""
    found = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
    mirrors = Counter(uri for uri in found.split() if "security" not in uri)
    return mirrors.most_common(1)[0][0] if mirrors else "http://deb.debian.org/debian"


def _take_kernel(root: Path, work: Path) -> str:
    """Move the kernel out of the tree, remove the modules that no VM uses, and return the kernel's release."""
    image = next((root / "boot").glob("vmlinuz-*"))
    release = image.name.removeprefix("vmlinuz-")
    shutil.move(image, work / "vmlinuz")
    for name in UNUSED_MODULES:
        shutil.rmtree(root / "lib/modules" / release / "kernel" / name, ignore_errors=True)
    _run("depmod", "-b", root, release)
    return release


def _write_initrd(root: Path, tree: Path, release: str) -> None:
    """Write the initial RAM disk beside its tree, with only what mounts the root file system."""
    for name in ("bin", "dev", "modules", "proc", "root", "sys"):
        (tree / name).mkdir(parents=True)
    shutil.copy2(root / "bin/busybox", tree / "bin/busybox")
    (tree / "bin/sh").symlink_to("busybox")
    shutil.copy2(HERE / "init", tree / "init")
    order: dict[str, None] = {}
    for module in BOOT_MODULES:
        lines = _run("modprobe", "--set-version", release, "--dirname", root, "--show-depends", module).splitlines()
        for path in (Path(line.split()[1]) for line in lines if line.startswith("insmod ")):
            shutil.copyfile(path, tree / "modules" / path.name)
            order[path.name] = None
    (tree / "modules/order").write_text("".join(f"{name}\n" for name in order), encoding="utf-8")
    _run("sh", "-c", "find . | busybox cpio -o -H newc | gzip -9 >../initrd.gz", cwd=tree)


def _configure(root: Path) -> None:
    """Copy our own files into the tree, and remove what belongs to one machine or to nobody."""
    shutil.copytree(HERE / "rootfs", root, dirs_exist_ok=True)
    (root / "etc/hostname").write_text("debian\n", encoding="utf-8")
    (root / "etc/machine-id").write_text("", encoding="utf-8")
    units = root / "etc/systemd/system"
    for unit in MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "systemd-networkd.service").unlink(missing_ok=True)
    (wanted / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for directory in ("var/cache/apt", "var/lib/apt/lists", "usr/lib/syslinux", "usr/share/doc", "boot"):
        shutil.rmtree(root / directory, ignore_errors=True)
        (root / directory).mkdir(parents=True)


def _write_disk(work: Path, root: Path, loader: bytes) -> None:
    """Write a disk whose first partition boots by BIOS, and whose second is the root file system and can grow."""
    disk = work / "disk.raw"
    root_start = MIB // SECTOR + BOOT_MIB * MIB // SECTOR
    entries = _partition_entry(BOOTABLE, FAT16_LBA, MIB // SECTOR, BOOT_MIB * MIB // SECTOR)
    entries += _partition_entry(0, LINUX, root_start, ROOT_MIB * MIB // SECTOR)
    with open(disk, "wb") as file:
        file.write(loader.ljust(440, b"\0")[:440] + bytes(6) + entries + bytes(32) + b"\x55\xaa")
        file.truncate((1 + BOOT_MIB + ROOT_MIB) * MIB)
    _write_boot_partition(work, disk)
    offset = f"offset={root_start * SECTOR}"
    _run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-L",
        "root",
        "-d",
        root,
        "-O",
        "^metadata_csum",
        "-m",
        "0",
        "-E",
        offset,
        disk,
        f"{ROOT_MIB}M",
    )


def _write_boot_partition(work: Path, disk: Path) -> None:
    configuration = work / "syslinux.cfg"
    configuration.write_text(
        "DEFAULT debian\nPROMPT 0\nTIMEOUT 0\nLABEL debian\n"
        f" KERNEL /vmlinuz\n APPEND initrd=/initrd.gz {KERNEL_PARAMETERS}\n",
        encoding="utf-8",
    )
    partition = f"{disk}@@{MIB}"
    sectors, before = str(BOOT_MIB * MIB // SECTOR), str(MIB // SECTOR)
    _run("mformat", "-i", partition, "-T", sectors, "-H", before, "-h", "64", "-s", "32", "::")
    _run("mcopy", "-i", partition, work / "vmlinuz", work / "initrd.gz", configuration, "::/")
    _run("syslinux", "--install", "--offset", str(MIB), disk)


def _partition_entry(flag: int, kind: int, start: int, sectors: int) -> bytes:
    """Return an entry of the partition table; its cylinder-head-sector fields say "beyond CHS", LBA counts."""
    beyond_chs = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", flag, beyond_chs, kind, beyond_chs, start, sectors)


def _run(*command: str | os.PathLike[str], cwd: Path | None = None) -> str:
    # mtools refuses disks whose geometry it finds odd; ours is made for LBA
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=cwd, env=environment
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
