# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation pages, and their code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
PATTERNS = ("README.md", "docs/*.md", "roles/*/README.md", "tools/*/README.md", "molecule/README.md")
# A code block: a fence with its language, and the lines up to the closing fence.
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A piece of code in a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return all pages."""
    return [path for pattern in PATTERNS for path in sorted(CHECKOUT.glob(pattern))]


def blocks(*languages: str) -> Iterator[Block]:
    """Yield the pieces of code in these languages, in all pages."""
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            if found["language"].strip() in languages:
                indent = found["indent"]
                code = "".join(line.replace(indent, "", 1) for line in found["text"].splitlines(keepends=True))
                name = str(path.relative_to(CHECKOUT))
                yield Block(name, text.count("\n", 0, found.start()) + 1, found["language"].strip(), code)


def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    return _BLOCK.sub("", path.read_text(encoding="utf-8"))
