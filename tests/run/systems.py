# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file systems of hypervisors that run another system than this machine, created from Debian's packages.

They are cached for all clones on the machine and never changed: a hypervisor writes to a layer above.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from . import modular_libvirt
from .modular_libvirt import Run

CACHE = Path("/var/cache/zstack-kvm/systems")


@dataclass(frozen=True)
class System:
    """A system: Debian's name of its release, and the system over which modular daemons are installed, if they are."""

    suite: str
    base: str = ""


# By their names on the command line
SYSTEMS = {
    "debian-13": System("trixie"),
    "debian-13-modular": System("trixie", base="debian-13"),
    "debian-unstable": System("sid"),
}
# Those that a run of all tests includes
USUAL = ("debian-13", "debian-unstable")
# The environment of the tests, for the system's own Python and with its own libvirt.
VENV = Path("/opt/zstack-kvm-tests")

PACKAGES = "tests/run/packages-system.txt"
REQUIREMENTS = "tests/requirements-pytest.txt"
# Without them nothing can be downloaded inside.
_DOWNLOAD_FILES = {
    Path("/etc/resolv.conf"): "etc/resolv.conf",
    Path("/etc/ssl/certs/ca-certificates.crt"): "etc/ssl/certs/ca-certificates.crt",
}
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
    # libvirt's messages in German, for the tests of its errors
    "path-include=/usr/share/locale/de/*",
    "path-exclude=/usr/share/man/*",
)
# Packages that are installed later must start no daemons. Alternatives need the directories of manual pages.
_HOOKS = (
    'printf "#!/bin/sh\\nexit 101\\n" >"$1/usr/sbin/policy-rc.d" && chmod 755 "$1/usr/sbin/policy-rc.d"',
    'mkdir -p "$1/usr/share/man/man1" "$1/usr/share/man/man8"',
)


def directory(checkout: Path, name: str) -> Path:
    """Return the path of a system's files, which may not exist; what they are created from is part of the name."""
    digest = hashlib.sha256(repr([_APT_OPTIONS, _DPKG_OPTIONS, _HOOKS]).encode())
    recipes = [modular_libvirt.RECIPE] if SYSTEMS[name].base else []
    for path in (checkout / PACKAGES, checkout / REQUIREMENTS, *(checkout / recipe for recipe in recipes)):
        digest.update(path.read_bytes())
    return CACHE / f"{name}-{digest.hexdigest()[:12]}"


def create(checkout: Path, name: str, packages: list[str], run: Run) -> None:
    """Create a system's files, unless they exist, with C(run), which raises if a command fails.

    Unfinished files never have the name of finished ones.
    """
    finished = directory(checkout, name)
    if finished.is_dir():
        return
    unfinished = finished.with_name(f"{finished.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    base = SYSTEMS[name].base
    if base:
        create(checkout, base, packages, run)
        run(["cp", "--archive", str(directory(checkout, base)), str(unfinished)])
        _install_modular_libvirt(SYSTEMS[name].suite, unfinished, run)
    else:
        run(bootstrap(SYSTEMS[name].suite, unfinished, packages))
        _allow_downloads(unfinished)
        _create_environment(checkout, unfinished, run)
    unfinished.rename(finished)


def _install_modular_libvirt(suite: str, system: Path, run: Run) -> None:
    builder = system.with_name(f"{system.name}.builder")
    if builder.exists():
        shutil.rmtree(builder)
    run(bootstrap(suite, builder, list(modular_libvirt.PACKAGES)))
    _allow_downloads(builder)
    modular_libvirt.install(builder, suite, _mirror(), system, run)
    shutil.rmtree(builder)


def _allow_downloads(system: Path) -> None:
    for ours, name in _DOWNLOAD_FILES.items():
        shutil.copyfile(ours, system / name)


def _create_environment(checkout: Path, system: Path, run: Run) -> None:
    shutil.copyfile(checkout / REQUIREMENTS, system / "tmp/requirements.txt")
    run(["chroot", str(system), "python3", "-m", "venv", "--system-site-packages", str(VENV)])
    pip = [str(VENV / "bin/pip"), "install", "--quiet", "--no-cache-dir", "-r", "/tmp/requirements.txt"]
    run(["chroot", str(system), *pip])


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
