# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system of a hypervisor: that of this machine or of another system, under a writable layer of its own.

The layer is gone when the hypervisor ends.

Runs inside the hypervisor's mount namespace, so nothing mounted here is seen outside.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from . import cgroups
from .hypervisor import Hypervisor, capabilities

# Empty, or its own, in every hypervisor.
_REPLACED = tuple(
    Path(name) for name in ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/tmp", "/var/lib/libvirt/images")
)
_DISK_FILE_SYSTEMS = ("btrfs", "ext2", "ext3", "ext4", "f2fs", "xfs", "zfs")
# Name, major, minor, permissions, group; those of this machine only if it has them.
_DEVICES = (
    ("null", 1, 3, 0o666, "root"),
    ("zero", 1, 5, 0o666, "root"),
    ("full", 1, 7, 0o666, "root"),
    ("random", 1, 8, 0o666, "root"),
    ("urandom", 1, 9, 0o666, "root"),
    ("tty", 5, 0, 0o666, "tty"),
)
_MACHINE_DEVICES = (
    ("kvm", 0o660, "kvm"),
    ("net/tun", 0o666, "root"),
    ("vhost-net", 0o660, "kvm"),
    ("vhost-vsock", 0o660, "kvm"),
)
# On disk instead of in the writable layer, which is memory: large files, and O_DIRECT before Linux 6.6.
_ON_DISK = (("tmp", 0o1777), ("var/tmp", 0o1777), ("var/lib/libvirt/images", 0o711))


def enter(hypervisor: Hypervisor) -> None:
    """Build the hypervisor's root file system and make it the calling process's root."""
    _run("mount", "--make-rprivate", "/")
    base = hypervisor.directory / "root"
    base.mkdir()
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", base)
    root = base / "root"
    mounted = cgroups.hierarchies()
    for number, (lower, point) in enumerate(_lower_directories(hypervisor)):
        _overlay(lower, point, base / f"layer{number}", root)
    _remove_machine_state(root)
    _mount_kernel_file_systems(root)
    cgroups.mount(root, mounted)
    _create_devices(root)
    _bind(hypervisor, root)
    os.chdir(root)
    old = root / "mnt"
    _run("pivot_root", ".", old.relative_to(root))
    os.chroot(".")
    os.chdir("/")
    _run("umount", "--lazy", "/mnt")


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def _lower_directories(hypervisor: Hypervisor) -> list[tuple[str, str]]:
    """Return the lower directories of the overlays, each with its path in the hypervisor."""
    system = hypervisor.settings.system
    return [(system, "/")] if system else [(point, point) for point in _disk_mount_points(hypervisor)]


def _disk_mount_points(hypervisor: Hypervisor) -> list[str]:
    # An overlay shows one file system: /usr, /var or /home on separate disks need their own layers.
    covered = [*_REPLACED, *(Path(directory) for directory in hypervisor.settings.binds), hypervisor.laboratory]
    points = {"/"}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _separator, tail = line.partition(" - ")
        point = Path(fields.split()[4])
        hidden = any(directory in (point, *point.parents) for directory in covered if directory != Path("/"))
        if tail.split()[0] in _DISK_FILE_SYSTEMS and point.is_dir() and not hidden:
            points.add(str(point))
    return sorted(points, key=len)


def _overlay(lower: str, point: str, layer: Path, root: Path) -> None:
    upper, work = layer / "upper", layer / "work"
    for directory in (upper, work):
        directory.mkdir(parents=True)
    root.mkdir(exist_ok=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "-o", options, "overlay", root / point.lstrip("/"))


def _remove_machine_state(root: Path) -> None:
    # The hypervisor must not see definitions, secrets, pools and leftovers of this machine's own libvirt.
    definitions = root / "etc/libvirt"
    for pattern in ("qemu/*.xml", "secrets/*", "storage/*.xml"):
        for path in definitions.glob(pattern):
            path.unlink()
    for name in ("qemu/autostart", "qemu/networks", "storage/autostart"):
        shutil.rmtree(definitions / name, ignore_errors=True)
    for name in ("var/lib/libvirt", "var/log/libvirt"):
        # Directories stay: packages created them, with the owners that libvirt needs.
        for path in list((root / name).rglob("*")):
            if path.name.startswith("domain-") and path.is_dir():
                shutil.rmtree(path)
            elif path.is_symlink() or (path.exists() and not path.is_dir()):
                path.unlink()


def _mount_kernel_file_systems(root: Path) -> None:
    _run("mount", "-t", "proc", "proc", root / "proc")
    _run("mount", "-t", "sysfs", "sysfs", root / "sys")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "run")
    for name, mode in (("lock", 0o1777), ("sshd", 0o755)):
        _create_directory(root / "run" / name, mode)


def _create_devices(root: Path) -> None:
    devices = root / "dev"
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", devices)
    for name, major, minor, mode, group in _DEVICES:
        _create_device(devices / name, os.makedev(major, minor), mode, _group(root, group))
    for name, mode, group in _MACHINE_DEVICES:
        original = Path("/dev") / name
        if original.exists():
            _create_device(devices / name, original.stat().st_rdev, mode, _group(root, group))
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
        ("ptmx", "pts/ptmx"),
    ):
        (devices / name).symlink_to(target)
    for name in ("pts", "shm", "mqueue"):
        (devices / name).mkdir()
    _run(
        "mount",
        "-t",
        "devpts",
        "-o",
        f"newinstance,ptmxmode=666,mode=620,gid={_group(root, 'tty')}",
        "devpts",
        devices / "pts",
    )
    _run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", devices / "shm")
    _run("mount", "-t", "mqueue", "mqueue", devices / "mqueue")
    if "\thugetlbfs\n" in Path("/proc/filesystems").read_text(encoding="utf-8"):
        (devices / "hugepages").mkdir()
        _run("mount", "-t", "hugetlbfs", "hugetlbfs", devices / "hugepages")


def _create_device(path: Path, device: int, mode: int, group: int) -> None:
    path.parent.mkdir(exist_ok=True)
    os.mknod(path, stat.S_IFCHR, device)
    os.chown(path, 0, group)
    path.chmod(mode)


def _group(root: Path, name: str) -> int:
    """Return the ID of a group in the hypervisor, which may differ from this machine's."""
    groups = (line.split(":") for line in (root / "etc/group").read_text(encoding="utf-8").splitlines())
    return next((int(fields[2]) for fields in groups if fields[0] == name), 0)


def _create_directory(path: Path, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


def _bind(hypervisor: Hypervisor, root: Path) -> None:
    for name, mode in _ON_DISK:
        own, target = hypervisor.directory / "disk" / name, root / name
        for directory in (own, target):
            _create_directory(directory, mode)
        _run("mount", "--bind", own, target)
    if not hypervisor.settings.system:
        _share_capabilities(hypervisor, root)
    for source in sorted(hypervisor.settings.binds, key=len):
        target = root / source.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        _run("mount", "--rbind", source, target)


def _share_capabilities(hypervisor: Hypervisor, root: Path) -> None:
    shared, target = capabilities(hypervisor.laboratory), root / "var/cache/libvirt/qemu/capabilities"
    for directory in (shared, target):
        directory.mkdir(parents=True, exist_ok=True)
    _run("mount", "--bind", shared, target)
