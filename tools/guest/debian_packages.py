# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages, downloaded and unpacked without being installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class PackageError(Exception):
    """A package is not available; the message says what to do about it."""


class PackageDirectory:
    """A directory that keeps downloaded .deb files between builds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    def real_name(self, metapackage: str) -> str:
        """Return the package that *metapackage* stands for in this release, as linux-image-6.1.0-37-cloud-amd64."""
        for name in _dependencies(_records([metapackage])[metapackage]):
            if name.startswith("linux-image-"):
                return name
        raise PackageError(f"{metapackage} names no kernel image")

    def with_libraries(self, names: list[str]) -> list[str]:
        """Return *names* and every library package that these depend on, directly or through other libraries."""
        seen = _records(names)
        found = list(names)
        while names:
            unseen = {dependency for name in names for dependency in _dependencies(seen[name])} - seen.keys()
            seen.update(_records(sorted(unseen)))
            names = sorted(name for name in unseen if seen[name].get("Section") == "libs")
            found += names
        return found

    def download(self, names: list[str]) -> None:
        """Download what the directory doesn't have yet."""
        missing = [name for name in names if not list(self._path.glob(f"{name}_*.deb"))]
        if not missing:
            return
        # apt's own user can't write to directories below root's home
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *missing]
        done = subprocess.run(
            command, cwd=self._path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise PackageError(
                f"these packages can't be downloaded: {' '.join(missing)}\n{done.stderr.strip()}\n"
                "Try again after: apt-get update"
            )

    def extract(self, names: list[str], target: Path) -> Path:
        """Unpack the packages, all into one tree, and return it."""
        target.mkdir(parents=True)
        for name in names:
            archive = next(self._path.glob(f"{name}_*.deb"))
            subprocess.run(["dpkg", "-x", archive, target], check=True, capture_output=True, text=True)
        return target


def _records(names: list[str]) -> dict[str, dict[str, str]]:
    """Return the fields of each package's newest version, by name, with one call of apt, which takes a second."""
    if not names:
        return {}
    done = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", *names],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise PackageError(
            f"apt doesn't know all of: {' '.join(names)}. The guest is made of the packages of Debian 12 or 13; "
            f"on such a system run: apt-get update\n{done.stderr.strip()}"
        )
    records = {}
    for paragraph in done.stdout.strip().split("\n\n"):
        fields = (line.partition(": ") for line in paragraph.splitlines() if not line.startswith(" "))
        record = {key: value for key, _separator, value in fields}
        records[record["Package"]] = record
    return records


def _dependencies(record: dict[str, str]) -> list[str]:
    """Return the names in Depends, of alternatives the first, without versions and architectures."""
    return [
        entry.split("|")[0].split("(")[0].split(":")[0].strip()
        for entry in record.get("Depends", "").split(",")
        if entry.strip()
    ]
