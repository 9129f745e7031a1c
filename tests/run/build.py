# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a file: it builds, holds what it should, installs and shows its documentation."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

from .checkout import Checkout
from .process import Outcome, run
from .result import Result
from .stage import project_files

SECONDS = 120

# What a user of the collection gets; everything else in the clone is for those who work on it.
SHIPPED_FILES = ("CHANGELOG.rst", "LICENSE", "README.md", "bindep.txt", "requirements.txt")
SHIPPED_FOLDERS = ("changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "roles")
MADE_BY_BUILD = {"FILES.json", "MANIFEST.json"}


def build(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """Builds from the clone as it is, caches and all, and installs the file into an empty folder."""
    folder = checkout.cache / "build"
    shutil.rmtree(folder, ignore_errors=True)
    installed = folder / "collections"
    installed.mkdir(parents=True)
    env = checkout.environment(ANSIBLE_COLLECTIONS_PATH=str(installed))

    def step(name: str, program: str, *words: str, cwd: Path = checkout.root) -> Outcome:
        result.screen.line(f"$ {name}")
        command, log = [checkout.program(program), *words], checkout.log("build")
        outcome = run(command, cwd=cwd, env=env, log=log, seconds=SECONDS, screen=result.screen, quiet=True)
        if not outcome.ok:
            result.screen.line(outcome.output)
        result.check(name, outcome)
        return outcome

    if not step("build", "ansible-galaxy", "collection", "build", "--output-path", str(folder)).ok:
        return
    archive = next(folder.glob("zstack-kvm-*.tar.gz"))
    result.screen.line("$ contents")
    result.check("contents", _contents(checkout, archive, result))
    words = ("collection", "install", "--offline", "--no-deps", "--collections-path", str(installed), str(archive))
    if not step("install", "ansible-galaxy", *words, cwd=folder).ok:
        return
    step("verify", "ansible-galaxy", "collection", "verify", "--offline", "zstack.kvm", cwd=folder)
    for name, kind in _documented(installed / "ansible_collections" / "zstack" / "kvm"):
        step(f"ansible-doc {name}", "ansible-doc", "--type", kind, "--json", name, cwd=folder)


def _documented(collection: Path) -> list[tuple[str, str]]:
    """The plugins and roles that have documentation, with their kinds."""
    kinds = {"modules": "module", "filter": "filter", "inventory": "inventory"}
    found = []
    for folder, kind in kinds.items():
        names = {path.stem for path in (collection / "plugins" / folder).glob("*") if path.suffix in (".py", ".yml")}
        found += [(f"zstack.kvm.{name}", kind) for name in sorted(names)]
    roles = sorted(path.parent.parent.name for path in collection.glob("roles/*/meta/argument_specs.yml"))
    return found + [(f"zstack.kvm.{name}", "role") for name in roles]


def _contents(checkout: Checkout, archive: Path, result: Result) -> Outcome:
    """What is in the file is exactly what is shipped of the project's files."""
    with tarfile.open(archive) as tar:
        packed = {member.name for member in tar.getmembers() if not member.isdir()} - MADE_BY_BUILD
    shipped = {name for name in project_files(checkout.root) if name.split("/")[0] in SHIPPED_FILES + SHIPPED_FOLDERS}
    wrong = [f"{name} is packed" for name in sorted(packed - shipped)]
    wrong += [f"{name} is missing" for name in sorted(shipped - packed)]
    for line in wrong:
        result.screen.line(f"  {line}")
    return Outcome(f"{len(wrong)} files wrong: {wrong[0]}" if wrong else "", json.dumps(wrong))
