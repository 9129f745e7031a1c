# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds phrases that this project does not use, and names what it says instead. See the glossary in the documentation.

python -m tools.docs.language          fail if a phrase is found that is enforced
python -m tools.docs.language --all    count those that are not enforced yet
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.run.stage import project_files

ROOT = Path(__file__).resolve().parents[2]
TEXT = {"", ".cfg", ".j2", ".md", ".py", ".rst", ".toml", ".txt", ".yaml", ".yml"}
EXEMPT = ("CHANGELOG.rst", "LICENSE", "changelogs/", "tests/fixtures/", "tools/docs/language.py")


@dataclass(frozen=True)
class Phrase:
    """A phrase, as a regular expression that ignores case, and what to say instead."""

    pattern: str
    instead: str
    enforced: bool = True


PHRASES = (
    Phrase(r"as[ _]asked", "in sync, desired", enforced=False),
    Phrase(r"\basked for\b", "desired", enforced=False),
    Phrase(r"\bplaces?\b", "path, slot, index or host", enforced=False),
    Phrase(r"\bclass Order\b|\bStopOrder\b", "Options, Request", enforced=False),
    Phrase(r"\bPatience\b", "CircuitBreaker", enforced=False),
    Phrase(r"\blast[ _]seen\b|\bLastSeen\b", "boot diagnostics", enforced=False),
    Phrase(r"\bForeseen\b", "a planned outcome", enforced=False),
    Phrase(r"\bmistakes_as_errors\b|\bundone_if_lost\b|\b_runs_all_the_same\b", "what the function does"),
    Phrase(r"\b(?:is|are) told\b|\btells? of\b|\btold of\b", "report, gather information about", enforced=False),
    Phrase(r"\blets? this initiator not in\b", "denies access to this initiator", enforced=False),
    Phrase(r"\bbehind our back\b", "outside of Ansible", enforced=False),
    Phrase(r"\b(?:made|makes?|making|rolled|begun) anew\b", "recreate", enforced=False),
    Phrase(r"\bfolders?\b", "directory", enforced=False),
    Phrase(r"\btakes? away\b|\btaken away\b", "remove", enforced=False),
    Phrase(r"\bthe hard way\b", "force off", enforced=False),
    Phrase(r"http[ _-]?door|\bthe door\b|zstack_door", "agent API"),
    Phrase(r'^\s*"""(?:What|Whether)\b', "one imperative sentence", enforced=False),
)


def findings(phrase: Phrase) -> Iterator[str]:
    """Return where the phrase is used."""
    pattern = re.compile(phrase.pattern, re.IGNORECASE)
    for name in project_files(ROOT):
        path = ROOT / name
        if path.suffix not in TEXT or name.startswith(EXEMPT):
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            for match in pattern.finditer(line):
                yield f"{name}:{number}: {match.group().strip()!r}: say {phrase.instead}"


def main(arguments: list[str]) -> int:
    """Print what is found, and return the exit code."""
    if arguments == ["--all"]:
        for phrase in PHRASES:
            remark = "" if phrase.enforced else " (not enforced)"
            print(f"{sum(1 for _each in findings(phrase)):6} {phrase.pattern}{remark}")
        return 0
    found = [line for phrase in PHRASES if phrase.enforced for line in findings(phrase)]
    print("\n".join(found) or "no phrase to replace")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
