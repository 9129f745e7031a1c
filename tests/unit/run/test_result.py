# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test command counts what ran; a part without results is not a success."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run.process import Outcome
from ansible_collections.zstack.kvm.tests.run.result import Result, table

WELL = Outcome("", "")
BADLY = Outcome("pytest ended with exit code 1", "")


def report(directory: Path, **numbers: int) -> list[Path]:
    """Return a JUnit file with these numbers."""
    attributes = " ".join(f'{name}="{number}"' for name, number in numbers.items())
    path = directory / "report.xml"
    path.write_text(f"<testsuites><testsuite {attributes}/></testsuites>", encoding="utf-8")
    return [path]


@pytest.mark.parametrize(
    ("numbers", "outcome", "passed", "failed", "problems"),
    [
        pytest.param({"tests": 3}, WELL, 3, 0, [], id="all passed"),
        pytest.param({"tests": 3, "failures": 1, "errors": 1}, BADLY, 1, 2, [], id="failures and errors"),
        pytest.param({"tests": 3, "skipped": 1}, WELL, 2, 1, ["1 skipped, which counts as failed"], id="a skip"),
        pytest.param({"tests": 0}, WELL, 0, 1, ["no test ran"], id="none"),
        pytest.param({"tests": 3}, BADLY, 3, 1, ["pytest ended with exit code 1"], id="passed, then died"),
    ],
)
def test_a_report_is_counted(tmp_path, numbers, outcome, passed, failed, problems):
    result = Result("unit")
    result.junit(report(tmp_path, **numbers), outcome)
    assert (result.passed, result.failed, result.problems) == (passed, failed, problems)


def test_each_test_that_failed_is_named_with_its_reason(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text(
        """
        <testsuite tests="3" failures="1" errors="1">
          <testcase classname="tests.test_one" name="test_good"/>
          <testcase classname="tests.test_one" name="test_bad"><failure message="1 == 2&#10; more"/></testcase>
          <testcase classname="tests.test_two" name="test_broken"><error message=" "/></testcase>
        </testsuite>
        """.strip(),
        encoding="utf-8",
    )
    result = Result("unit")
    result.junit([path], BADLY)
    assert result.problems == [
        "tests.test_one.test_bad: 1 == 2",
        "tests.test_two.test_broken: no reason given",
    ]


class TestTestsThatWereRunAgain:
    FIRST = """
        <testsuite tests="3" failures="1" errors="1">
          <testcase classname="tests.test_one" name="test_good"/>
          <testcase classname="tests.test_one" name="test_slow"><failure message="not within 5 s"/></testcase>
          <testcase classname="tests.test_two" name="test_broken"><error message="no disk"/></testcase>
        </testsuite>
    """

    def counted(self, directory: Path, again: str, outcome: Outcome) -> Result:
        paths = [directory / "report.xml", directory / "report-again.xml"]
        for path, text in zip(paths, (self.FIRST, again)):
            path.write_text(text.strip(), encoding="utf-8")
        result = Result("integration")
        result.junit(paths, outcome)
        return result

    def test_have_passed_if_they_then_passed_and_are_named(self, tmp_path):
        again = """
            <testsuite tests="2">
              <testcase classname="tests.test_one" name="test_slow"/>
              <testcase classname="tests.test_two" name="test_broken"/>
            </testsuite>
        """
        result = self.counted(tmp_path, again, WELL)
        assert (result.passed, result.failed) == (3, 0)
        assert result.problems == [
            "tests.test_one.test_slow: passed when it was run again; before: not within 5 s",
            "tests.test_two.test_broken: passed when it was run again; before: no disk",
        ]

    def test_have_failed_if_they_failed_again_or_did_not_run(self, tmp_path):
        again = """
            <testsuite tests="1" failures="1">
              <testcase classname="tests.test_one" name="test_slow"><failure message="still not"/></testcase>
            </testsuite>
        """
        result = self.counted(tmp_path, again, BADLY)
        assert (result.passed, result.failed) == (1, 2)
        assert result.problems == ["tests.test_one.test_slow: not within 5 s", "tests.test_two.test_broken: no disk"]


def test_a_tool_that_wrote_no_report_failed():
    result = Result("unit")
    result.junit([], WELL)
    assert not result.ok


def test_a_skip_may_be_let_pass_but_is_no_success(tmp_path):
    result = Result("sanity")
    result.junit(report(tmp_path, tests=3, skipped=1), WELL, skip_fails=False)
    assert (result.passed, result.failed) == (2, 0)


def test_the_table_names_what_failed_and_why():
    good, bad = Result("unit", passed=2, seconds=1.25), Result("lint", seconds=10)
    bad.problem("ansible-lint ended with exit code 2")
    assert table([good, bad]).splitlines() == [
        "part  passed  failed      time",
        "unit       2       0     1.2 s  PASSED",
        "lint       0       1    10.0 s  FAILED",
        "      ansible-lint ended with exit code 2",
    ]
