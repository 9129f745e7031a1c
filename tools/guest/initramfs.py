# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's initial RAM disk: our own scripts, busybox, kernel modules, qemu-guest-agent with its libraries."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

# What the guest needs to see its devices; a kernel that has one built in has no file for it, which is fine
MODULES = [
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_balloon",
    "virtio-rng",
    "isofs",
    "sd_mod",
    "sr_mod",
    "ata_piix",
    "button",
    "evdev",
    "efivarfs",
    "pvpanic-mmio",
]


def write(path: Path, own: Path, kernel: Path, programs: Path, root: Path) -> None:
    """Write the compressed cpio archive *path*.

    own: a directory of files to copy unchanged; kernel, programs: unpacked packages; root: where the tree is built
    """
    shutil.copytree(own, root)
    for directory in ("dev", "proc", "sys", "run", "tmp", "var"):
        (root / directory).mkdir()
    (root / "var/run").symlink_to("../run")
    (root / "sbin").symlink_to("bin")
    _copy_busybox(_first(programs, "bin/busybox", "usr/bin/busybox"), root / "bin")
    _copy_guest_agent(programs, root)
    write_modules(MODULES, kernel, root)
    with gzip.GzipFile(path, "wb", compresslevel=9, mtime=0) as archive:
        archive.write(cpio(root))


def _copy_busybox(busybox: Path, target: Path) -> None:
    shutil.copy2(busybox, target / "busybox")
    names = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in names:
        # Our own scripts take precedence over busybox's programs of the same name
        if not (target / name).exists():
            (target / name).symlink_to("busybox")


def write_modules(names: list[str], kernel: Path, root: Path) -> None:
    """Write kernel modules and their dependencies, for modprobe.

    They are in a separate archive, which the guest unpacks, loads and removes: otherwise the packed and the unpacked
    initial RAM disk, which are in memory together for a moment, are too much for a small guest.
    """
    files = {_module_name(path.name.split(".")[0]): path for path in kernel.rglob("*.ko*")}
    contents: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in contents or name not in files:
            return
        content = _module_content(files[name])
        # The kernel notes a module's dependencies in its .modinfo section
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for dependency in depends.group(1).decode().split(",") if depends else []:
            add(_module_name(dependency))
        contents[name] = content

    for module in names:
        add(_module_name(module))
    # Since Debian 13, packages have no files in /lib.
    release = next(_first(kernel, "lib/modules", "usr/lib/modules").iterdir()).name
    # The list is loaded from front to back and in the order of dependencies, so that no module has to list its own.
    (root / "etc/modules").write_text("".join(f"{name}\n" for name in contents), encoding="utf-8")
    dependencies = "".join(f"{name}.ko:\n" for name in contents)
    with tarfile.open(root / "modules.tar.gz", "w:gz") as archive:
        for name, content in [("modules.dep", dependencies.encode()), *((f"{n}.ko", c) for n, c in contents.items())]:
            entry = tarfile.TarInfo(f"lib/modules/{release}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _module_name(text: str) -> str:
    return text.replace("-", "_")


def _module_content(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def _copy_guest_agent(programs: Path, root: Path) -> None:
    agent = programs / "usr/sbin/qemu-ga"
    shutil.copy2(agent, root / "bin/qemu-ga")
    loader = _first(programs, "lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2")
    directories = [programs / "lib/x86_64-linux-gnu", programs / "usr/lib/x86_64-linux-gnu"]
    # The loader itself reports which libraries it would load, so that none is missing and none is superfluous
    listing = subprocess.run(
        [loader, "--library-path", ":".join(map(str, directories)), "--list", agent],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    # Where the agent and its loader look for them
    libraries = root / "lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (root / "lib64").mkdir()
    shutil.copy2(loader, root / "lib64/ld-linux-x86-64.so.2")
    for library in re.findall(r"=> (/.+) \(0x", listing):
        shutil.copy2(library, libraries / Path(library).name)


def _first(tree: Path, *candidates: str) -> Path:
    for candidate in candidates:
        if (tree / candidate).exists():
            return (tree / candidate).resolve()
    raise FileNotFoundError(f"none of {', '.join(candidates)} in {tree}")


def cpio(root: Path) -> bytes:
    """Return the tree as a cpio archive in the kernel's format ("newc"), everything owned by root."""
    archive = bytearray()
    paths = sorted(path for path in root.rglob("*"))
    for number, path in enumerate(paths, start=1):
        status = path.lstat()
        if path.is_symlink():
            data = os.readlink(path).encode()
        elif path.is_file():
            data = path.read_bytes()
        else:
            data = b""
        _append(archive, path.relative_to(root).as_posix(), status.st_mode, data, number)
    _append(archive, "TRAILER!!!", 0, b"", 0)
    return bytes(archive)


def _append(archive: bytearray, name: str, mode: int, data: bytes, inode: int) -> None:
    links = 2 if stat.S_ISDIR(mode) else 1
    encoded = name.encode() + b"\0"
    fields = [inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    archive += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    _pad(archive)
    archive += data
    _pad(archive)


def _pad(archive: bytearray) -> None:
    archive += b"\0" * (-len(archive) % 4)
