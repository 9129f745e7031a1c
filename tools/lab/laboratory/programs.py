# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the laboratory runs, and their packages."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
from pathlib import Path

from .errors import LabError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_QEMU_PACKAGES = {"x86_64": "qemu-system-x86", "aarch64": "qemu-system-arm"}

# Debian's package of each program.
_PACKAGES = {
    "ip": "iproute2",
    "libvirtd": "libvirt-daemon-system",
    "mount": "mount",
    "nsenter": "util-linux",
    "qemu-img": "qemu-utils",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "virsh": "libvirt-clients",
    "virtlogd": "libvirt-daemon",
}
# Python modules that Ansible modules need on a hypervisor, with Debian's packages.
_MODULES = {"libvirt": "python3-libvirt", "lxml": "python3-lxml"}


def path_of(program: str) -> str:
    """Return the path of a program, searching the system's own directories only."""
    found = shutil.which(program, path=SYSTEM_PATH)
    if found is None:
        raise LabError(f"{program} is not installed")
    return found


def _missing() -> dict[str, str]:
    packages = dict(_PACKAGES)
    machine = platform.machine()
    packages[f"qemu-system-{machine}"] = _QEMU_PACKAGES.get(machine, "qemu-system-misc")
    missing = {
        program: package for program, package in packages.items() if shutil.which(program, path=SYSTEM_PATH) is None
    }
    missing.update(
        (f"Python module {name}", package)
        for name, package in _MODULES.items()
        if importlib.util.find_spec(name) is None
    )
    return missing


def require(install: bool) -> None:
    """Raise LabError with the names of the packages that are missing, or install them with apt-get if `install`."""
    missing = _missing()
    if not missing:
        return
    packages = sorted(set(missing.values()))
    if not install:
        raise LabError(
            f"missing: {', '.join(sorted(missing))}\n"
            f"Install them (Debian, Ubuntu): apt-get install {' '.join(packages)}\n"
            "or use --install."
        )
    if not Path("/usr/bin/apt-get").exists():
        raise LabError(f"--install needs apt-get; install by hand: {', '.join(sorted(missing))}")
    environment = {"PATH": SYSTEM_PATH, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, env=environment)
    subprocess.run(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], check=True, env=environment
    )
