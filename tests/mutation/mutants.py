# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs with one thing left out: a statement, an argument by name, an entry of a dictionary, tuple or list.

What writes an element or attribute of a domain is one of these.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional


@dataclass(frozen=True)
class Mutant:
    """A module without one of its parts."""

    path: Path
    number: Optional[int]
    line: int
    without: str
    functions: Collection[str] = ()

    def tree(self) -> ast.Module:
        """Return the module as it is without the part."""
        tree = ast.parse(self.path.read_text())
        if self.number is not None:
            _remove(tree, self.number, self.functions)
        return ast.fix_missing_locations(tree)

    def __str__(self) -> str:
        return "%s:%d without %s" % (self.path.name, self.line, self.without)


def mutants_of(path: Path, functions: Collection[str] = ()) -> Iterator[Mutant]:
    """Yield all mutants of a module, or those of some of its functions, in the order of its lines."""
    tree = ast.parse(path.read_text())
    for number, (line, without) in enumerate(_removable(tree, functions)):
        yield Mutant(path, number, line, without, functions)


def unchanged(path: Path) -> Mutant:
    """Return the module as it is, for comparison."""
    return Mutant(path, None, 1, "nothing")


def _removable(tree: ast.Module, functions: Collection[str]) -> Iterator[tuple[int, str]]:
    for node, _field, index, part in _parts(tree, functions):
        shown = part if isinstance(part, ast.AST) else node
        if isinstance(node, ast.Dict):
            shown = node.values[index]
        yield getattr(shown, "lineno", 0), ast.unparse(part).splitlines()[0]


def _remove(tree: ast.Module, number: int, functions: Collection[str]) -> None:
    node, field, index, part = list(_parts(tree, functions))[number]
    if isinstance(node, ast.Dict):
        del node.keys[index], node.values[index]
    elif isinstance(part, ast.stmt):
        getattr(node, field)[index] = ast.Pass()
    else:
        del getattr(node, field)[index]


def _parts(tree: ast.Module, functions: Collection[str]) -> Iterator[tuple[Any, str, int, ast.AST]]:
    """Yield what can be removed: the node it is in, the field there, its index and itself."""
    for function in _functions(tree):
        if functions and function.name not in functions:
            continue
        types = _types_of(function)
        for node in ast.walk(function):
            for field in ("body", "orelse", "finalbody"):
                for index, statement in enumerate(_list(node, field)):
                    if not _says_nothing(statement):
                        yield node, field, index, statement
            if isinstance(node, ast.Call):
                for index, keyword in enumerate(node.keywords):
                    yield node, "keywords", index, keyword
            if isinstance(node, ast.Dict):
                for index, key in enumerate(node.keys):
                    if key is not None:
                        yield node, "keys", index, key
            if isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load) and node not in types:
                for index, element in enumerate(node.elts):
                    yield node, "elts", index, element
    if functions:
        return
    for statement in tree.body:
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Tuple):
            for index, element in enumerate(value.elts):
                if isinstance(element, ast.Attribute):
                    yield value, "elts", index, element


def _types_of(function: ast.FunctionDef) -> set[ast.AST]:
    """Return what stands in square brackets, as the parts of types do, which nothing depends on."""
    return {inner for node in ast.walk(function) if isinstance(node, ast.Subscript) for inner in ast.walk(node.slice)}


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yield functions and methods; those inside others are walked with them."""
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement
        elif isinstance(statement, ast.ClassDef):
            yield from (member for member in statement.body if isinstance(member, ast.FunctionDef))


def _list(node: ast.AST, field: str) -> list[ast.stmt]:
    value = getattr(node, field, None)
    return value if isinstance(value, list) else []


def _says_nothing(statement: ast.stmt) -> bool:
    """Return a docstring, or what is not there any more."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )
