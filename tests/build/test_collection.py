# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built collection: it has the right files, installs, and shows its documentation."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run.stage import project_files

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent

# What users of the collection get; everything else in the clone is for its developers.
SHIPPED = {
    "CHANGELOG.rst",
    "CODE_OF_CONDUCT.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "bindep.txt",
    "changelogs",
    "docs",
    "extensions",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
}
ADDED_BY_BUILD = {"FILES.json", "MANIFEST.json"}

KINDS = {"modules": "module", "filter": "filter", "inventory": "inventory", "lookup": "lookup"}
PLUGINS = [
    (path.stem, kind) for name, kind in KINDS.items() for path in sorted((ROOT / "plugins" / name).glob("*.py"))
] + [(path.parent.parent.name, "role") for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))]


def run(*command: str, collections: Path) -> str:
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections)}
    program = str(PROGRAMS / command[0])
    done = subprocess.run(
        [program, *command[1:]], cwd=collections, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive, built from the clone as it is, including its caches."""
    directory = tmp_path_factory.mktemp("build")
    run("ansible-galaxy", "collection", "build", "--output-path", str(directory), str(ROOT), collections=directory)
    (built,) = directory.glob("zstack-kvm-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of collections in which the archive is installed."""
    directory = tmp_path_factory.mktemp("collections")
    options = ["--offline", "--no-deps", "--collections-path", str(directory)]
    run("ansible-galaxy", "collection", "install", *options, str(archive), collections=directory)
    return directory


def test_the_file_holds_what_users_need_and_nothing_else(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        packed = {member.name for member in tar.getmembers() if not member.isdir()}
    shipped = {name for name in project_files(ROOT) if name.split("/")[0] in SHIPPED}
    assert packed - ADDED_BY_BUILD == shipped


def test_the_installed_collection_is_verified(installed: Path) -> None:
    run("ansible-galaxy", "collection", "verify", "--offline", "zstack.kvm", collections=installed)


@pytest.mark.parametrize(("name", "kind"), PLUGINS)
def test_the_installed_collection_shows_its_documentation(installed: Path, name: str, kind: str) -> None:
    assert name in run("ansible-doc", "--type", kind, "--json", f"zstack.kvm.{name}", collections=installed)
