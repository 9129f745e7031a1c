# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the systems on which tests ran, in docs/testing.md."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.run import systems
from ansible_collections.zstack.kvm.tools.docs.tested_systems import PAGE, THIS_MACHINE, Row, counted, short, with_rows

REPORT = """<testsuites><testsuite>
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><failure message="no"/></testcase>
<testcase classname="a" name="three"><skipped/></testcase>
<testcase classname="b" name="again"><error message="no"/></testcase>
<testcase classname="b" name="again"/>
</testsuite></testsuites>"""
OLD = Row("debian-13", "11.3", "10.0", "3.13", "2.21", "`integration`", "1", "2", "2026-01-01")
NEW = OLD._replace(passed="3", failed="0", on="2026-02-01")
OTHER = OLD._replace(run="`other_systems`")


def page(*rows: Row) -> str:
    return with_rows("before\n<!-- systems: begin -->\n<!-- systems: end -->\nafter\n", rows)


def test_what_fails_or_is_skipped_counts_as_failed_and_a_second_run_as_one() -> None:
    assert counted([REPORT]) == (2, 2)


@pytest.mark.parametrize(
    ("version", "shown"), [("9.0.0-4+deb12u2", "9.0"), ("1:10.0.13+ds-0+deb13u1", "10.0"), ("3.14.8-1", "3.14")]
)
def test_versions_are_those_of_the_release(version: str, shown: str) -> None:
    assert short(version) == shown


def test_a_row_replaces_that_of_the_same_system_and_run_only() -> None:
    assert with_rows(page(OLD, OTHER), [NEW]) == page(NEW, OTHER)


def test_the_order_is_that_of_the_systems() -> None:
    rows = [OLD._replace(system=name) for name in (THIS_MACHINE, *systems.SYSTEMS)]

    assert page(*rows) == page(*reversed(rows))


def test_what_surrounds_the_table_stays() -> None:
    assert page(OLD).startswith("before\n")
    assert page(OLD).endswith("-->\nafter\n")


def test_the_page_has_the_table_as_the_command_writes_it() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert with_rows(text, []) == text
