# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the versions with which tests ran, in docs/testing.md."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.zstack.kvm.tools.docs.tested_systems import PAGE
from ansible_collections.zstack.kvm.tools.docs.tested_versions import rows_of, with_rows

ON = 1_769_947_200  # noon of 2026-02-01
PASSED = '<testcase classname="a" name="%s"/>'
FAILED = '<testcase classname="a" name="%s"><failure message="no"/></testcase>'
SKIPPED = '<testcase classname="a" name="%s"><skipped/></testcase>'


def reports(directory: Path, **tests: tuple[str, ...]) -> list[Path]:
    """Write reports with these tests; in their names two underscores stand for a hyphen, one for a dot."""
    written = []
    for name, cases in tests.items():
        path = directory / f"versions-{name.replace('__', '-').replace('_', '.')}.xml"
        path.write_text(
            "<testsuite>" + "".join(case % number for number, case in enumerate(cases)) + "</testsuite>",
            encoding="utf-8",
        )
        os.utime(path, (ON, ON))
        written.append(path)
    return written


def test_the_reports_of_a_version_are_one_row(tmp_path: Path) -> None:
    found = reports(tmp_path, core__2_20=(PASSED, FAILED), core__2_19=(PASSED,), python__3_9=(PASSED, PASSED))

    assert rows_of(found) == [
        ("ansible-core 2.19", "playbooks and roles", "1", "0", "2026-02-01"),
        ("ansible-core 2.20", "playbooks and roles", "1", "1", "2026-02-01"),
        ("Python 3.9 of hypervisors", "modules", "2", "0", "2026-02-01"),
    ]


def test_a_test_counts_with_each_python(tmp_path: Path) -> None:
    found = reports(tmp_path, units__2_19__3_10__0=(PASSED,), units__2_19__3_9__0=(PASSED, FAILED))

    assert rows_of(found) == [("ansible-core 2.19", "unit tests, Python 3.9, 3.10", "2", "1", "2026-02-01")]


def test_what_ansible_test_has_nothing_to_look_at_for_does_not_count(tmp_path: Path) -> None:
    found = reports(tmp_path, sanity__2_19__0=(PASSED, SKIPPED))

    assert [row[2:4] for row in rows_of(found)] == [("1", "0")]


def test_the_systems_of_hypervisors_have_a_table_of_their_own(tmp_path: Path) -> None:
    assert rows_of(reports(tmp_path, debian__13=(PASSED,), fresh_hosts=(PASSED,))) == []


def test_a_row_stays_until_the_same_is_run_again() -> None:
    page = "<!-- versions: begin -->\n| version | run | passed | failed | on |\n| --- | --- | --- | --- | --- |\n"
    page += "| a | b | 1 | 0 | 2026-02-01 |\n| c | d | 1 | 0 | 2026-02-01 |\n<!-- versions: end -->\n"
    rows = [line for line in with_rows(page, [("c", "d", "2", "1", "2026-02-02")]).splitlines() if line[:1] == "|"]

    assert rows[2:] == ["| a | b | 1 | 0 | 2026-02-01 |", "| c | d | 2 | 1 | 2026-02-02 |"]


def test_only_the_table_is_replaced() -> None:
    page = "before\n<!-- versions: begin -->\nold\n<!-- versions: end -->\nafter\n"
    replaced = with_rows(page, [("a", "b", "1", "0", "2026-02-01")])

    assert replaced.startswith("before\n") and replaced.endswith("-->\nafter\n")
    assert "| a | b | 1 | 0 | 2026-02-01 |\n" in replaced and "old" not in replaced


def test_the_page_has_its_mark() -> None:
    assert with_rows(PAGE.read_text(encoding="utf-8"), [])
