# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a tiny Linux guest from Debian's packages: kernel, initrd, disk (raw and qcow2) and ISO."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import boot_media
import initramfs
from debian_packages import PackageDirectory, PackageError

HERE = Path(__file__).resolve().parent
KERNEL_METAPACKAGE = "linux-image-cloud-amd64"
# What must be installed on the machine that builds: command -> Debian package
TOOLS = {
    "apt-get": "apt",
    "dpkg": "dpkg",
    "mformat": "mtools",
    "qemu-img": "qemu-utils",
    "syslinux": "syslinux",
    "xorriso": "xorriso",
}
FILES = {"kernel": "vmlinuz", "initrd": "initrd.gz", "raw": "disk.raw", "qcow2": "disk.qcow2", "iso": "boot.iso"}
MANIFEST = "guest.json"
# The beginning of the line that the guest repeats on its serial console once it is up
READY_MARKER = '@guest {"kind":"ready"'


class BuildError(Exception):
    """A build is impossible; the message says why, and what to do about it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="where the files go")
    parser.add_argument("--force", action="store_true", help="build again even if nothing changed")
    arguments = parser.parse_args()
    try:
        build(arguments.output.resolve(), force=arguments.force)
    except (BuildError, PackageError) as error:
        print(f"guest: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        print(f"guest: this command failed: {command}\n{error.stderr or ''}".rstrip(), file=sys.stderr)
        return 1
    return 0


def build(output: Path, force: bool) -> None:
    """Build into *output*, unless its content was built from these very sources."""
    sources = _digest_of_sources()
    if not force and _is_current(output, sources):
        say(f"up to date: {output}")
        return
    _check_machine()
    output.mkdir(parents=True, exist_ok=True)
    (output / MANIFEST).unlink(missing_ok=True)
    work = output / "work"
    shutil.rmtree(work, ignore_errors=True)
    started = time.monotonic()

    packages = PackageDirectory(output / "packages")
    kernel_package = packages.real_name(KERNEL_METAPACKAGE)
    required = {
        "kernel": [kernel_package],
        "programs": packages.with_libraries(["busybox-static", "qemu-guest-agent"]),
        "loaders": ["isolinux", "syslinux-common", "systemd-boot-efi"],
    }
    say(f"downloading {sum(map(len, required.values()))} packages of Debian, kernel {kernel_package}")
    packages.download([name for names in required.values() for name in names])
    trees = {part: packages.extract(names, work / part) for part, names in required.items()}

    say("writing the initial RAM disk")
    built = {kind: work / name for kind, name in FILES.items()}
    shutil.copyfile(next((trees["kernel"] / "boot").glob("vmlinuz-*")), built["kernel"])
    initramfs.write(built["initrd"], HERE / "rootfs", trees["kernel"], trees["programs"], work / "initramfs")
    say("writing the disk and the CD")
    media = boot_media.BootMedia(built["kernel"], built["initrd"], trees["loaders"], work)
    media.write_disk(built["raw"])
    _run("qemu-img", "convert", "-O", "qcow2", built["raw"], built["qcow2"])
    media.write_iso(built["iso"])

    # Renamed instead of overwritten: a VM may still run on the files of an earlier build
    for path in built.values():
        path.replace(output / path.name)
    shutil.rmtree(work)
    manifest = {
        "sources": sources,
        "kernel_package": kernel_package,
        "kernel_parameters": boot_media.KERNEL_PARAMETERS,
        "ready_marker": READY_MARKER,
        "files": FILES,
    }
    (output / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    say(f"built in {time.monotonic() - started:.0f} s: {output}")


def say(text: str) -> None:
    print(f"guest: {text}", flush=True)


def _check_machine() -> None:
    missing = sorted(package for command, package in TOOLS.items() if shutil.which(command) is None)
    if missing:
        raise BuildError(f"missing tools; install them: apt-get install {' '.join(missing)}")
    architecture = _run("dpkg", "--print-architecture").strip()
    if architecture != "amd64":
        raise BuildError(f"the guest is built for amd64 from amd64 packages, and this machine is {architecture}")


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
            digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _is_current(output: Path, sources: str) -> bool:
    try:
        manifest = json.loads((output / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return manifest.get("sources") == sources and all((output / name).is_file() for name in FILES.values())


def _run(*command: str | os.PathLike[str]) -> str:
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
