# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of module_utils import each other only in the direction that docs/architecture.md states."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).resolve().parents[4] / "plugins" / "module_utils"
# Each package may import those before it, and itself.
DIRECTION = (
    "import_lock",
    "foreign_text",
    "addresses",
    "_errors",
    "deadline",
    "waiting",
    "_spec.vm",
    "_storage",
    "_spec",
    "_host",
    "_domain",
    "_libvirt",
    "_diagnostics",
    "_actions",
    "_host_storage",
    "_drift",
    "_start",
    "_stop",
    "_info",
    "_volumes",
    "connect",
    "kvm_module",
    "vm_module",
)
FILES = sorted(MODULE_UTILS.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(MODULE_UTILS).with_suffix("").parts)


def part_of(module: str) -> str:
    return "_spec.vm" if module == "_spec.vm" else module.partition(".")[0]


def imported_by(path: Path) -> Iterator[str]:
    """Yield the modules of module_utils that a file imports, also those for the type checker only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = name_of(path).split(".")[: -node.level]
            module = ".".join([*package, *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{module}.{alias.name}".strip(".")
                is_module = (MODULE_UTILS / f"{whole.replace('.', '/')}.py").exists()
                yield whole if is_module else module


def test_the_direction_names_every_package() -> None:
    assert {part_of(name_of(path)) for path in FILES} == set(DIRECTION)


def test_the_documentation_has_the_same_order() -> None:
    page = (MODULE_UTILS.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## The packages")[2].partition("## ")[0]
    documented = [name for line in table.splitlines() for name in re.findall(r"`([\w/]+?)(?:/|\.py)`", line[:60])]
    assert [name.replace("/", ".") for name in documented] == list(DIRECTION)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_follow_the_direction(path: Path) -> None:
    rank = DIRECTION.index(part_of(name_of(path)))
    against = [name for name in imported_by(path) if DIRECTION.index(part_of(name)) > rank]
    assert against == []


def test_no_module_imports_itself_through_others() -> None:
    imports = {name_of(path): set(imported_by(path)) for path in FILES}
    resolved: set[str] = set()
    while len(resolved) < len(imports):
        free = {name for name, needed in imports.items() if name not in resolved and needed <= resolved}
        assert free, "these import each other: %s" % sorted(set(imports) - resolved)
        resolved |= free


def packages_that_import(*modules: str) -> set[str]:
    """Return the packages that import one of these modules from elsewhere."""
    return {
        part_of(name_of(path))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.partition(".")[0] in modules
    }


def test_only_one_package_imports_libvirt() -> None:
    assert packages_that_import("libvirt", "libvirt_qemu") == {"_libvirt"}


def test_only_one_package_imports_what_touches_files_programs_and_servers() -> None:
    assert packages_that_import("fcntl", "glob", "pathlib", "shutil", "socket", "subprocess", "tempfile") == {"_host"}
