# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads import one after another from Ansible's archive, where Python 3.9 shows them modules that are incomplete."""

from __future__ import annotations

import ast
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils.import_lock import import_lock

MODULE_UTILS = Path(__file__).resolve().parents[4] / "plugins" / "module_utils"
FILES = sorted(MODULE_UTILS.rglob("*.py"))
SLOW = "import time\nfirst = 1\ntime.sleep(0.2)\nlast = 2\n"


def imports_in_functions(
    tree: ast.AST, is_locked: bool = False, in_function: bool = False
) -> Iterator[tuple[int, bool]]:
    """Yield the line of each relative import in a function, and whether it holds the lock."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.level and in_function:
            yield node.lineno, is_locked
        holds = isinstance(node, ast.With) and [ast.unparse(item) for item in node.items] == ["import_lock"]
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        yield from imports_in_functions(node, is_locked or holds, in_function or is_function)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MODULE_UTILS)))
def test_every_import_in_a_function_holds_the_lock(path: Path) -> None:
    found = imports_in_functions(ast.parse(path.read_text(encoding="utf-8")))
    assert [line for line, is_locked in found if not is_locked] == []


def test_an_import_without_the_lock_is_found() -> None:
    assert list(imports_in_functions(ast.parse("def work():\n    from .x import y\n"))) == [(2, False)]


def test_threads_see_a_module_of_an_archive_only_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zstack_kvm_slow.py", SLOW)
    monkeypatch.syspath_prepend(str(tmp_path / "archive.zip"))
    seen: list[object] = []
    begin = threading.Barrier(4)

    def work() -> None:
        begin.wait()
        try:
            with import_lock:
                from zstack_kvm_slow import last  # type: ignore[import-not-found]
            seen.append(last)
        except ImportError as error:
            seen.append(error)

    threads = [threading.Thread(target=work) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [2, 2, 2, 2]
