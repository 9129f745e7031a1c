# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirements that this machine must meet before Ansible can run on it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from .progress import Progress, StepError

# ip and qemu-img are needed before the role has installed the hypervisor's packages, and independently of them
PACKAGES = ["iproute2", "mtools", "python3-venv", "qemu-utils", "syslinux", "xorriso"]
APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
SECONDS = 1200


def check(checkout: Path) -> None:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {"NAME": "an unknown system"}
    if release.get("ID") != "debian" or release.get("VERSION_ID") not in ("12", "13"):
        raise StepError(
            f"this machine runs {release.get('PRETTY_NAME', release['NAME'])}, and quickstart makes its guest of the "
            "packages of Debian 12 or 13. The role host_prerequisites and the playbooks know more systems; see "
            "roles/host_prerequisites/README.md."
        )
    if platform.machine() != "x86_64":
        raise StepError(f"quickstart's guest is an x86_64 one, and this machine is {platform.machine()}.")
    if os.geteuid() != 0:
        raise StepError("this installs packages and starts libvirt: run it as root, for instance: sudo ./quickstart")
    if ":" in str(checkout):
        raise StepError(
            f"the path {checkout} has a colon in it, which separates paths in Ansible's settings. Rename the directory."
        )


def install_packages(progress: Progress) -> None:
    missing = [package for package in PACKAGES if not _installed(package)]
    if not missing:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    hint = "The package sources must be reachable and whole: try  apt-get update  and  dpkg --configure -a"
    progress.run([*APT, "update"], hint=hint, seconds=SECONDS, env=environment)
    install = [*APT, "install", "--yes", "--no-install-recommends", *missing]
    progress.run(install, hint=hint, seconds=SECONDS, env=environment)


def _installed(package: str) -> bool:
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"
