# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny guest, and whether it boots under KVM here."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .progress import Progress

BUILD_SECONDS = 900
# Under a working KVM it takes two seconds
BOOT_SECONDS = 20


@dataclass(frozen=True)
class Accelerator:
    """The way QEMU runs guests here: libvirt's domain type, a title for people, and the reason."""

    domain_type: str
    title: str
    reason: str


KVM_DEVICE = Path("/dev/kvm")
EMULATION = "emulation (TCG)"
WITHOUT_DEVICE = "no, there is no /dev/kvm: emulation, which is slower"


def directory(checkout: Path) -> Path:
    return checkout / ".cache/guest"


def build(checkout: Path, progress: Progress) -> None:
    progress.run(
        [str(checkout / "tools/guest/build"), "--output", str(directory(checkout))],
        hint="The guest is built from Debian's packages: its sources must be reachable.",
        seconds=BUILD_SECONDS,
    )


def accelerator(checkout: Path, state_directory: Path, progress: Progress) -> Accelerator:
    """Return kvm if the guest really boots under it, emulation otherwise.

    The result is kept until /dev/kvm appears or disappears, so that a machine on which KVM works by chance doesn't
    change the VM at every run.
    """
    kept = state_directory / "accelerator.json"
    has_device = KVM_DEVICE.exists()
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before.pop("kvm_device", None) == has_device:
            return Accelerator(**before)
    found = _try_kvm(directory(checkout)) if has_device else Accelerator("qemu", EMULATION, WITHOUT_DEVICE)
    kept.write_text(json.dumps({**vars(found), "kvm_device": has_device}), encoding="utf-8")
    return found


def _try_kvm(guest: Path) -> Accelerator:
    manifest = json.loads((guest / "guest.json").read_text(encoding="utf-8"))
    files = {kind: str(guest / name) for kind, name in manifest["files"].items()}
    command = ["qemu-system-x86_64", "-accel", "kvm", "-m", "96", "-nodefaults", "-display", "none", "-no-reboot",
               "-serial", "stdio", "-kernel", files["kernel"], "-initrd", files["initrd"],
               "-append", manifest["kernel_parameters"]]  # fmt: skip
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output = _read_until(process, manifest["ready_marker"].encode(), started + BOOT_SECONDS)
    finally:
        process.kill()
        process.wait()
    seconds = time.monotonic() - started
    if manifest["ready_marker"].encode() in output:
        return Accelerator("kvm", "KVM", f"yes, within {seconds:.0f} s")
    if seconds < BOOT_SECONDS:
        last_line = output.decode(errors="replace").strip().rpartition("\n")[2]
        return Accelerator("qemu", EMULATION, f"no ({last_line}): emulation, which is slower")
    return Accelerator("qemu", EMULATION, f"no, not within {BOOT_SECONDS} s: emulation, which is slower")


def _read_until(process: subprocess.Popen[bytes], marker: bytes, deadline: float) -> bytes:
    """Return the process's output up to the marker, its end or the time limit."""
    assert process.stdout is not None
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while marker not in output and time.monotonic() < deadline:
            if selector.select(0.5):
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    break
                output += data
    return output
