# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the results of the last C(./run-tests versions) into docs/testing.md, by ansible-core and Python.

C(python -m tools.docs.tested_versions). The numbers are those of the JUnit files in .cache/results.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from tests.run.checkout import Checkout

from .tested_systems import PAGE, ROOT, counted

HEAD = ("version", "run", "passed", "failed", "on")
_MARKS = re.compile(r"(<!-- versions: begin -->\n).*?(<!-- versions: end -->)", re.DOTALL)
# The runs on a version, by the names of their reports; those of ansible-test are numbered.
_RUNS = (
    (r"versions-sanity-([\d.]+)()-\d+", "ansible-core %s", "sanity tests"),
    (r"versions-units-([\d.]+)-([\d.]+)-\d+", "ansible-core %s", "unit tests, Python %s"),
    (r"versions-core-([\d.]+)()", "ansible-core %s", "playbooks and roles"),
    (r"versions-aiohttp-([\d.]+)()", "aiohttp %s", "event source of the agent API"),
    (r"versions-rulebook-([\d.]+)()", "Python %s", "what ansible-rulebook refuses"),
    (r"versions-python-([\d.]+)()", "Python %s of hypervisors", "modules"),
)

Row = tuple[str, ...]


def main() -> None:
    """Replace the table by the results of the reports."""
    reports = Path(Checkout(ROOT).cache / "results").glob("versions-*.xml")
    PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), rows_of(reports)), encoding="utf-8")


def rows_of(reports: Iterable[Path]) -> list[Row]:
    """Return the rows of the reports, in the order of the runs and of the versions."""
    known = list(reports)
    return [row for name, version, run in _RUNS for row in _rows(known, re.compile(name), version, run)]


def _rows(reports: Iterable[Path], name: re.Pattern[str], version: str, run: str) -> Iterable[Row]:
    """Yield a row for each version; a run with several Pythons is one."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for report in reports:
        named = name.fullmatch(report.stem)
        if named:
            found[named[1]][named[2]].append(report)
    for number in sorted(found, key=_numbers):
        pythons = sorted(filter(None, found[number]), key=_numbers)
        what = run % ", ".join(pythons) if pythons else run
        yield (version % number, what, *_results(found[number].values()))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _results(runs: Iterable[list[Path]]) -> Row:
    """Return how many tests of all runs passed and failed, and the day of the last."""
    results = [counted((report.read_text(encoding="utf-8") for report in reports), False) for reports in runs]
    last = max(report.stat().st_mtime for reports in runs for report in reports)
    passed, failed = (str(sum(numbers)) for numbers in zip(*results))
    return passed, failed, date.fromtimestamp(last).isoformat()


def with_rows(page: str, rows: Iterable[Row]) -> str:
    """Return the page with these rows in its table, each in the slot of an older one of the same version and run."""
    marked = _MARKS.search(page)
    assert marked, "the page has no marks"
    merged = {row[:2]: row for row in (*_rows_of(marked[0]), *rows)}
    lines = "".join("| %s |\n" % " | ".join(cells) for cells in [HEAD, ("---",) * len(HEAD), *merged.values()])
    return _MARKS.sub(lambda found: f"{found[1]}{lines}{found[2]}", page)


def _rows_of(table: str) -> Iterable[Row]:
    for line in table.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if len(cells) == len(HEAD) and cells[0] not in (HEAD[0], "---"):
            yield cells


if __name__ == "__main__":
    main()
