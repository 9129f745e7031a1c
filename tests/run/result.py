# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the parts: counting, and the table at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from .process import Outcome

REASON_LENGTH = 200
# The property of a test in a JUnit file that has the reason why an earlier attempt failed.
FAILED_BEFORE = "failed before"


@dataclass
class Result:
    """The tests of one part; C(problems) are the reasons of those that failed, or passed only when run again."""

    name: str
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failed

    def problem(self, text: str) -> None:
        """Add a failure that belongs to no test, such as a tool that could not run."""
        self.failed += 1
        self.problems.append(text)

    def check(self, name: str, outcome: Outcome) -> None:
        """Count a command as one test."""
        if outcome.ok:
            self.passed += 1
        else:
            self.problem(f"{name}: {outcome.reason}")

    def junit(self, paths: list[Path], outcome: Outcome, skip_fails: bool = True) -> None:
        """Count the tests in JUnit files. A skipped one has shown nothing, so it fails unless told otherwise."""
        failed_before = self.failed
        skipped = ran = 0
        for path in paths:
            for suite in ElementTree.parse(path).getroot().iter("testsuite"):
                number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
                bad = number["failures"] + number["errors"]
                skipped += number["skipped"]
                ran += number["tests"] - number["skipped"]
                self.passed += number["tests"] - number["skipped"] - bad
                self.failed += bad
                self.problems += _failures(suite)
        if skipped and skip_fails:
            self.failed += skipped
            self.problems.append(f"{skipped} skipped, which counts as failed")
        if not outcome.ok and self.failed == failed_before:
            self.problem(outcome.reason)
        elif not ran:
            self.problem("no test ran")


def _failures(suite: ElementTree.Element) -> list[str]:
    """Return the tests that failed, or passed only when they were run again, each with the first line of its reason."""
    failed: dict[str, str] = {}
    failed_before: dict[str, str] = {}
    for test in suite.iter("testcase"):
        name = f"{test.get('classname')}.{test.get('name')}"
        for part in test.iter():
            if part.tag in ("failure", "error"):
                failed.setdefault(name, _first_line(part.get("message")))
            elif part.get("name") == FAILED_BEFORE:
                failed_before.setdefault(name, _first_line(part.get("value")))
    again = {name: reason for name, reason in failed_before.items() if name not in failed}
    return [f"{name}: {reason}" for name, reason in failed.items()] + [
        f"{name}: passed when it was run again; before: {reason}" for name, reason in again.items()
    ]


def _first_line(text: str | None) -> str:
    return ((text or "").strip() or "no reason given").splitlines()[0][:REASON_LENGTH]


def table(results: list[Result]) -> str:
    """Return the results, one part a line, and their sum as the last line."""
    width = max([len(result.name) for result in results] + [4])
    lines = [f"{'part':{width}}  {'passed':>6}  {'failed':>6}  {'time':>8}"]
    for result in results:
        word = "PASSED" if result.ok else "FAILED"
        lines.append(f"{result.name:{width}}  {result.passed:6}  {result.failed:6}  {result.seconds:6.1f} s  {word}")
        lines += [f"{'':{width}}  {problem}" for problem in result.problems]
    return "\n".join(lines)
