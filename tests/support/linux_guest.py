# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny guest of tools/guest in a running VM: what it sees of its hardware, through its serial console."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.support.serial_console import (
    MissingOutputError,
    console_path,
    wait_for_text,
    wait_in_terminal,
)
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# Where ./run-tests builds the guest.
BUILT = Path(__file__).resolve().parent.parent.parent / ".cache" / "guest"
BOOT_SECONDS = 240
ANSWER_SECONDS = 20
ATTEMPTS = 6
SEEN_SECONDS = 120
MEMORY = "128MiB"
_PARTITION = 1 << 20
_SIGNED_SHIM = Path("/usr/lib/shim/shimx64.efi.signed")
_SIGNED_GRUB = Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")


def boot_disk(path: Path) -> Path:
    """Return a new disk of the guest."""
    assert (BUILT / "disk.qcow2").exists(), f"there is no guest in {BUILT}: run tools/guest/build --output {BUILT}"
    shutil.copyfile(BUILT / "disk.qcow2", path)
    path.chmod(0o666)
    return path


def signed_disk(path: Path) -> Path:
    """Return a new disk of the guest whose boot chain Microsoft (shim) and Debian (GRUB and the kernel) have signed."""
    shutil.copyfile(BUILT / "disk.raw", path)
    path.chmod(0o666)
    parameters = json.loads((BUILT / "guest.json").read_text())["kernel_parameters"]
    # Chainloaded as a UEFI program: under emulation, GRUB's own way to boot this kernel ends in a triple fault.
    configuration = f"chainloader /vmlinuz initrd=\\initrd.gz {parameters} guest.medium=disk\nboot\n"
    partition = f"{path}@@{_PARTITION}"
    _mtools("mcopy", "-o", "-i", partition, str(_SIGNED_SHIM), "::/EFI/BOOT/BOOTX64.EFI")
    _mtools("mcopy", "-i", partition, str(_SIGNED_GRUB), "::/EFI/BOOT/grubx64.efi")
    _mtools("mmd", "-i", partition, "::/EFI/debian")
    _mtools("mcopy", "-i", partition, "-", "::/EFI/debian/grub.cfg", stdin=configuration)
    return path


def _mtools(*command: str, stdin: str = "") -> None:
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    subprocess.run(command, input=stdin, check=True, capture_output=True, text=True, env=environment)


def wait_until_booted(domain: str) -> None:
    """Wait until the guest says that it is ready."""
    wait_for_text(domain, r'@guest \{"kind":"ready"', BOOT_SECONDS)


def inventory(domain: str) -> list[dict[str, Any]]:
    """Return what the guest sees now, one entry per item; it brings hot-plugged CPUs and memory online first."""
    lines = [json.loads(line) for line in re.findall(r"@guest (\{.*\})", execute(domain, "inventory"))]
    return [line for line in lines if line["kind"] not in ("ready", "end", "done")]


def seen(domain: str, kind: str) -> list[dict[str, Any]]:
    """Return what the guest sees of one kind."""
    return [entry for entry in inventory(domain) if entry["kind"] == kind]


def execute(domain: str, command: str) -> str:
    """Run a command in the guest's shell, and return its output.

    A line that is sent while the guest is being restored may be lost: the command is sent again until it is answered.
    """
    return _retry(lambda: _answer(domain, command))


def crash(domain: str) -> None:
    """Make the guest's kernel panic."""
    line = "echo c > /proc/sysrq-trigger\n"
    _retry(lambda: wait_in_terminal(console_path(domain), "Kernel panic", ANSWER_SECONDS, send=line))


def wait_until_seen(domain: str, kind: str, **facts: Any) -> None:
    """Wait until the guest sees an item of this kind with these facts; after a hot plug that takes a moment."""
    entries = partial(seen, domain, kind)
    what = f"the guest sees a {kind} with {facts}"
    wait_until(lambda: any(facts.items() <= entry.items() for entry in entries()), what, SEEN_SECONDS)


def _retry(attempt: Callable[[], str]) -> str:
    for _attempt in range(ATTEMPTS - 1):
        with suppress(MissingOutputError):
            return attempt()
    return attempt()


def _answer(domain: str, command: str) -> str:
    """Return the output between the marks of this command; answers to earlier ones may still be unread."""
    mark = uuid.uuid4().hex
    end = f'@guest {{"kind":"done","status":%s,"mark":"{mark}"}}'
    line = f'echo "@begin {mark}"; {command}; item done status "#$?" mark {mark}\n'
    pattern = rf"(?s)@begin {mark}\r?\n.*" + re.escape(end).replace("%s", r"\d+")
    output = wait_in_terminal(console_path(domain), pattern, ANSWER_SECONDS, send=line)
    # A guest that has only just booted may repeat the line.
    return output[output.rindex(f"@begin {mark}") :].partition("\n")[2]
