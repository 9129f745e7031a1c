# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what runs on targets import nothing of the controller: their Pythons need not have ansible-core."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
OF_TARGETS = [path for part in ("module_utils", "modules") for path in sorted((HERE / part).rglob("*.py"))]
OF_THE_CONTROLLER = re.compile(
    r"ansible\.(?!module_utils\b)|ansible_collections\.zstack\.kvm\.plugins\.(filter|inventory|lookup)\."
)


def imported(source: str) -> Iterator[str]:
    """Yield the full names that source code imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", OF_TARGETS, ids=lambda path: str(path.relative_to(HERE)))
def test_they_import_nothing_of_the_controller(path: Path) -> None:
    names = imported(path.read_text(encoding="utf-8"))
    assert [name for name in names if OF_THE_CONTROLLER.match(name)] == []


@pytest.mark.parametrize(
    "line",
    [
        "from ansible.errors import AnsibleError",
        "from ansible_collections.zstack.kvm.plugins.filter.html_page import html_page",
        "import ansible.plugins.loader",
    ],
)
def test_what_is_of_the_controller_is_recognised(line: str) -> None:
    assert [name for name in imported(line) if OF_THE_CONTROLLER.match(name)]
