# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of this checkout, and the environment of every command of the tests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What a user's own shell may have set and what would change the outcome of a test.
FOREIGN_VARIABLES = ("ANSIBLE_", "MOLECULE_", "PYENV_", "PYTEST_", "PYTHON", "VIRTUAL_ENV", "VIRTUALENV")


@dataclass(frozen=True)
class Checkout:
    """A clone of the collection, whose ignored directory .cache holds all that the tests create."""

    root: Path
    environment_name: str = "venv"
    first_in_path: str = ""

    @property
    def cache(self) -> Path:
        return self.root / ".cache"

    @property
    def venv(self) -> Path:
        return self.cache / self.environment_name

    @property
    def collections(self) -> Path:
        """Return the tree for Ansible in which a symlink makes this checkout the collection."""
        return self.cache / "collections"

    @property
    def stage(self) -> Path:
        """Return the copy of the project, for tools that resolve symlinks or walk through every directory."""
        return self.cache / "stage" / "ansible_collections" / "zstack" / "kvm"

    @property
    def guest(self) -> Path:
        """Return the guest that tests boot."""
        return self.cache / "guest"

    @property
    def home(self) -> Path:
        """Return the home of tools that keep their caches in the user's."""
        return self.cache / "home"

    def log(self, name: str) -> Path:
        path = self.cache / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def result(self, name: str) -> Path:
        """Return the path for a JUnit file; one from an earlier run is removed."""
        path = self.cache / "results" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    def results(self, part: str) -> list[Path]:
        """Return the JUnit files of a part."""
        return sorted(self.cache.glob(f"results/{part}*.xml"))

    def program(self, name: str) -> str:
        return str(self.venv / "bin" / name)

    def link_collection(self) -> None:
        """Create the tree for Ansible, unless it exists."""
        link = self.collections / "ansible_collections" / "zstack" / "kvm"
        link.parent.mkdir(parents=True, exist_ok=True)
        target = os.path.relpath(self.root, link.parent)
        if not (link.is_symlink() and os.readlink(link) == target):
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the caller's environment less what would change a test's outcome, with our own tools first in PATH."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
        return {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_HOME": str(self.cache / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.cache / "hypothesis"),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "PATH": ":".join(filter(None, [str(self.venv / "bin"), self.first_in_path, STANDARD_PATH])),
            "PYTHONPYCACHEPREFIX": str(self.cache / "pycache"),
            "PYTHONUNBUFFERED": "1",
            **more,
        }
