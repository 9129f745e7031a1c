# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive in which Ansible sends zstack_vm_start: it holds what the module imports when it runs, and no more."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.zstack.kvm.tests.benchmarks import archive
from ansible_collections.zstack.kvm.tests.benchmarks.archive import ANSIBLE, Part, parts_of

COLLECTION = Path(archive.__file__).parents[2]
COLLECTIONS = COLLECTION.parents[2]
PACKAGE = "ansible_collections/zstack/kvm/"


class RunTimeImports(ast.NodeVisitor):
    """Collect the files of the collection that a file of it imports, even if only in a function."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: set[Path] = set()

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        start = self.file.parents[node.level - 1] if node.level else COLLECTIONS
        module = start.joinpath(*(node.module or "").split("."))
        files = (name.with_suffix(".py") for name in [module, *(module / alias.name for alias in node.names)])
        self.found |= {file for file in files if COLLECTION in file.parents and file.exists()}


def imported(module: Path) -> set[Path]:
    """Return a module and what it imports when it runs, directly or through other files."""
    seen: set[Path] = set()
    remaining = {module}
    while remaining:
        file = remaining.pop()
        seen.add(file)
        imports = RunTimeImports(file)
        imports.visit(ast.parse(file.read_text(encoding="utf-8")))
        remaining |= imports.found - seen
    return seen


def test_it_holds_no_file_that_the_module_does_not_import_when_it_runs(tmp_path: Path) -> None:
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tests.benchmarks.archive", str(tmp_path)]
    subprocess.run(command, cwd=COLLECTION, env=environment, check=True, capture_output=True)
    with zipfile.ZipFile(archive.path_of(tmp_path, archive.OURS)) as sent:
        files = {COLLECTIONS / name for name in sent.namelist() if name.startswith(PACKAGE)}
    needed = imported(COLLECTION / "plugins" / "modules" / "zstack_vm_start.py")
    assert {file for file in files if file.name != "__init__.py"} == needed


def test_its_parts_are_the_packages_of_module_utils() -> None:
    own = f"{PACKAGE}plugins"
    entries = [
        ("ansible/module_utils/basic.py", 7),
        (f"{own}/module_utils/_domain/disk.py", 3),
        (f"{own}/module_utils/_domain/cpu.py", 2),
        (f"{own}/modules/zstack_vm_start.py", 1),
    ]
    assert parts_of(entries) == {
        "_domain": Part(2, 5),
        "the module itself, and what modules share": Part(1, 1),
        ANSIBLE: Part(1, 7),
    }
