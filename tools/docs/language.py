# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find phrases that this project does not use, and name what it says instead; fail if there are any.

The glossary in the documentation has the terms.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.run.stage import project_files

ROOT = Path(__file__).resolve().parents[2]
TEXT = {"", ".S", ".cfg", ".j2", ".md", ".py", ".rst", ".svg", ".toml", ".txt", ".yaml", ".yml"}
EXEMPT = ("CHANGELOG.rst", "LICENSE", "changelogs/", "tests/fixtures/", "tools/docs/language.py")


@dataclass(frozen=True)
class Phrase:
    """A phrase, as a regular expression that ignores case, and what to say instead."""

    pattern: str
    instead: str


PHRASES = (
    Phrase(r"\bas[ _]asked\b", "in sync, desired"),
    Phrase(r"\basked for\b", "desired"),
    # CSS has place-items.
    Phrase(r"\bplaces?\b(?!-items)", "path, slot, index or host"),
    Phrase(r"\bclass Order\b|\bStopOrder\b", "Options, Request"),
    Phrase(r"\bPatience\b", "CircuitBreaker"),
    Phrase(r"\blast_seen\b|\bseen last\b|\bLastSeen\b", "boot diagnostics"),
    Phrase(r"\bForeseen\b", "a planned outcome"),
    Phrase(r"\bmistakes_as_errors\b|\bundone_if_lost\b|\b_runs_all_the_same\b", "what the function does"),
    Phrase(r"\b(?:is|are) told\b|\btells? of\b|\btold of\b", "report, gather information about"),
    Phrase(r"\blets? this initiator not in\b", "denies access to this initiator"),
    Phrase(r"\bbehind (?:our|its|the collection's) back\b", "outside of Ansible"),
    Phrase(r"\banew\b", "again, recreate"),
    Phrase(r"\bfolders?\b", "directory"),
    Phrase(r"\btakes? away\b|\btaken away\b", "remove"),
    Phrase(r"\bthe hard way\b", "force off"),
    Phrase(r"\bfor ever\b", "forever, without a time limit"),
    Phrase(r"\bmade[- ]up\b", "simulated"),
    Phrase(r"\bput right\b|\bputs? it right\b", "repair"),
    Phrase(r"http[ _-]?door|\bthe door\b|zstack_door", "agent API"),
    Phrase(r'^\s*"""(?:What|Whether|Which|Why|Where|When|How|Who|Whom)\b', "one imperative sentence"),
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
            # Names are read like text: a test's name is its specification.
            for text in dict.fromkeys((line, line.replace("_", " "))):
                for match in pattern.finditer(text):
                    yield f"{name}:{number}: {match.group().strip()!r}: say {phrase.instead}"


def main() -> int:
    """Print what is found, and return the exit code."""
    found = [line for phrase in PHRASES for line in findings(phrase)]
    print("\n".join(found) or "no phrase to replace")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
