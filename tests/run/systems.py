# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file systems of hypervisors that run another system than this machine, made from Debian's packages.

They are cached for all clones on the machine and never changed: a hypervisor writes to a layer above.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

CACHE = Path("/var/cache/zstack-kvm/systems")
# The name of each system on the command line, and Debian's name of it.
SUITES = {"debian-13": "trixie", "debian-unstable": "sid"}
# Those that are in a run of all tests
USUAL = ("debian-13",)
# The environment of the tests, for the system's own Python and with its own libvirt.
VENV = Path("/opt/zstack-kvm-tests")

PACKAGES = "tests/run/packages-system.txt"
_REQUIREMENTS = "tests/requirements-pytest.txt"
_APT_OPTIONS = (
    'APT::Install-Recommends "false"',
    'Acquire::Languages "none"',
    # The index of unstable is valid for a week; a mirror, or this machine's clock, may be older.
    'Acquire::Check-Valid-Until "false"',
)
_DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
# Packages that are installed later start nothing. Alternatives need the directories of the manual pages.
_HOOKS = (
    'printf "#!/bin/sh\\nexit 101\\n" >"$1/usr/sbin/policy-rc.d" && chmod 755 "$1/usr/sbin/policy-rc.d"',
    'mkdir -p "$1/usr/share/man/man1" "$1/usr/share/man/man8"',
)

Run = Callable[[list[str]], None]


def directory(checkout: Path, name: str) -> Path:
    """Return where a system's files are, or will be. What it is made of is part of the name."""
    digest = hashlib.sha256()
    for path in (checkout / PACKAGES, checkout / _REQUIREMENTS, Path(__file__)):
        digest.update(path.read_bytes())
    return CACHE / f"{name}-{digest.hexdigest()[:12]}"


def create(checkout: Path, name: str, packages: list[str], run: Run) -> None:
    """Create a system's files with C(run), which raises if a command fails. Unfinished ones never have the name."""
    finished = directory(checkout, name)
    unfinished = finished.with_name(f"{finished.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    run(bootstrap(SUITES[name], unfinished, packages))
    for file in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
        shutil.copyfile(os.path.realpath(file), unfinished / file[1:])
    shutil.copyfile(checkout / _REQUIREMENTS, unfinished / "tmp/requirements.txt")
    run(["chroot", str(unfinished), "python3", "-m", "venv", "--system-site-packages", str(VENV)])
    pip = [str(VENV / "bin/pip"), "install", "--quiet", "--no-cache-dir", "-r", "/tmp/requirements.txt"]
    run(["chroot", str(unfinished), *pip])
    unfinished.rename(finished)


def bootstrap(suite: str, target: Path, packages: list[str]) -> list[str]:
    """Return the command that creates the files of a Debian in a directory."""
    options = [f"--aptopt={option}" for option in _APT_OPTIONS]
    options += [f"--dpkgopt={option}" for option in _DPKG_OPTIONS]
    options += [f"--customize-hook={hook}" for hook in _HOOKS]
    common = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"]
    return [*common, *options, f"--include={','.join(packages)}", suite, str(target), _mirror()]


def _mirror() -> str:
    """Return the mirror from which this machine has most of Debian's packages."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    targets = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    mirrors = Counter(target for target in targets if "security" not in target)
    return mirrors.most_common(1)[0][0] if mirrors else "http://deb.debian.org/debian"
