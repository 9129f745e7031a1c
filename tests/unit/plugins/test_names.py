# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of a source file have its name, and a class has a name of its own."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
PLUGINS = TESTS.parents[2] / "plugins"
EXTENSIONS = TESTS.parents[2] / "extensions"
# These tests examine all files of a kind.
OF_MANY_FILES = {
    "test_names.py",
    "test_clock.py",
    "test_target_pythons.py",
    "filter/test_filter_imports.py",
    "module_utils/test_imports.py",
    "modules/test_documentation.py",
    "modules/test_arguments.py",
    "modules/test_missing_libraries.py",
}


# Ansible looks for classes of these names.
NAMES_GIVEN_BY_ANSIBLE = {"FilterModule", "ModuleDocFragment"}

# Documentation, which is tested with the modules that have it.
WITHOUT_TESTS = ("doc_fragments",)


def is_documentation_of_an_action(source: Path) -> bool:
    """Return whether a module has no code, because an action of the same name has it."""
    return source.parts[0] == "modules" and (PLUGINS / "action" / source.name).exists()


def test_every_source_file_has_a_test_file_of_its_name() -> None:
    sources = [path.relative_to(PLUGINS) for path in PLUGINS.rglob("*.py")]
    files = [path for path in sources if path.stem != "__init__" and path.parts[0] not in WITHOUT_TESTS]
    untested = [path for path in files if not (TESTS / path.parent / f"test_{path.name}").exists()]
    assert sorted(str(path) for path in untested if not is_documentation_of_an_action(path)) == []


def test_a_test_file_begins_with_the_name_of_a_source_file_in_the_same_directory() -> None:
    misnamed = []
    for path in sorted(TESTS.rglob("test_*.py")):
        name = path.relative_to(TESTS)
        sources = [source.stem for source in (PLUGINS / name.parent).glob("*.py")]
        tested = path.stem[len("test_") :]
        if not any(tested == source or tested.startswith(source + "_") for source in sources):
            misnamed.append(str(name))
    assert set(misnamed) == OF_MANY_FILES


def test_no_two_classes_share_a_name() -> None:
    files = [*PLUGINS.rglob("*.py"), *EXTENSIONS.rglob("*.py")]
    classes = Counter(
        node.name.lstrip("_")
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, number in classes.items() if number > 1} == NAMES_GIVEN_BY_ANSIBLE
