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
# The end of the name of a JUnit file of tests that had failed, and were run once more.
AGAIN = "-again"


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
        """Count the tests in JUnit files. A skipped test proves nothing: it counts as failed if C(skip_fails)."""
        failed_before = self.failed
        skipped = ran = 0
        passed_at_last = {name for path in paths if path.stem.endswith(AGAIN) for name in _passed(path)}
        for path in (path for path in paths if not path.stem.endswith(AGAIN)):
            for suite in ElementTree.parse(path).getroot().iter("testsuite"):
                number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
                bad = number["failures"] + number["errors"]
                skipped += number["skipped"]
                ran += number["tests"] - number["skipped"]
                reasons = _failures(suite)
                slow = [name for name in reasons if name in passed_at_last]
                self.passed += number["tests"] - number["skipped"] - bad + len(slow)
                self.failed += bad - len(slow)
                self.problems += [
                    f"{name}: {'passed when it was run again; before: ' if name in slow else ''}{reason}"
                    for name, reason in reasons.items()
                ]
        if skipped and skip_fails:
            self.failed += skipped
            self.problems.append(f"{skipped} skipped, which counts as failed")
        if not outcome.ok and self.failed == failed_before:
            self.problem(outcome.reason)
        elif not ran:
            self.problem("no test ran")


def _failures(suite: ElementTree.Element) -> dict[str, str]:
    """Return the tests of a suite that failed, each with the first line of its reason."""
    found: dict[str, str] = {}
    for test in suite.iter("testcase"):
        bad = next((each for each in test if each.tag in ("failure", "error")), None)
        if bad is not None:
            reason = ((bad.get("message") or "").strip() or "no reason given").splitlines()[0]
            found.setdefault(_name(test), reason[:REASON_LENGTH])
    return found


def _passed(path: Path) -> set[str]:
    root = ElementTree.parse(path).getroot()
    failed = {name for suite in root.iter("testsuite") for name in _failures(suite)}
    tests = (test for test in root.iter("testcase") if test.find("skipped") is None)
    return {_name(test) for test in tests} - failed


def _name(test: ElementTree.Element) -> str:
    return f"{test.get('classname')}.{test.get('name')}"


def table(results: list[Result]) -> str:
    """Return the results, one part per line."""
    width = max([len(result.name) for result in results] + [4])
    lines = [f"{'part':{width}}  {'passed':>6}  {'failed':>6}  {'time':>8}"]
    for result in results:
        word = "PASSED" if result.ok else "FAILED"
        lines.append(f"{result.name:{width}}  {result.passed:6}  {result.failed:6}  {result.seconds:6.1f} s  {word}")
        lines += [f"{'':{width}}  {problem}" for problem in result.problems]
    return "\n".join(lines)
