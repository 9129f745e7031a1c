# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine on which the times were measured."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from ..run.checkout import Checkout


def describe(checkout: Checkout) -> dict[str, str]:
    """Return what affects the times."""
    ansible = checkout.program("ansible-playbook")
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} CPUs",
        "memory": f"{_memory_kib() / 1024**2:.0f} GiB",
        "system": f"{_os_release()}, Linux {platform.release()}",
        "virtualisation": "QEMU emulates (TCG)",
        "libvirt": _last_word(["libvirtd", "--version"]),
        "QEMU": _words(["qemu-system-x86_64", "--version"])[3],
        "ansible-core": _words([ansible, "--version"])[2].rstrip("]"),
        "Python": platform.python_version(),
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _memory_kib() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemTotal"))


def _os_release() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def _words(command: list[str]) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def _last_word(command: list[str]) -> str:
    return _words(command)[-1]
