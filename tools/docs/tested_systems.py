# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the results of the last runs on each system into docs/testing.md.

C(python -m tools.docs.tested_systems). The numbers are those of the JUnit files in .cache/results, the versions are
those of Debian's packages in the system's files. Rows of what has not run since stay as they are.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tests.run import systems
from tests.run.checkout import Checkout
from tests.run.result import AGAIN

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "testing.md"
HEAD = ("system", "libvirt", "QEMU", "Python", "ansible-core", "run", "passed", "failed", "on")
THIS_MACHINE = "debian-12"
_PACKAGES = {"libvirt": "libvirt0", "QEMU": "qemu-system-x86", "Python": "python3"}
_MARKS = re.compile(r"(<!-- systems: begin -->\n).*?(<!-- systems: end -->)", re.DOTALL)


class Row(NamedTuple):
    """A row of the table; system and run identify it."""

    system: str
    libvirt: str
    qemu: str
    python: str
    ansible_core: str
    run: str
    passed: str
    failed: str
    on: str


def main() -> None:
    """Replace the rows of the runs that have reports."""
    checkout = Checkout(ROOT)
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_rows(text, _rows_of_reports(checkout)), encoding="utf-8")


def _rows_of_reports(checkout: Checkout) -> list[Row]:
    results = checkout.cache / "results"
    inside = [results / "integration-inside.xml", results / "integration-outside.xml"]
    rows = []
    if all(report.exists() for report in inside):
        rows.append(_row(THIS_MACHINE, "integration", inside, Path("/"), checkout.venv))
    for name in systems.SYSTEMS:
        files = systems.directory(ROOT, name)
        reports = {part: results / name / f"{part}.xml" for part in ("integration", "other_systems")}
        for part, report in {**reports, "versions": results / f"versions-{name}.xml"}.items():
            if report.exists():
                rows.append(_row(name, part, [report], files, files / str(systems.VENV)[1:]))
    return rows


def _row(system: str, run: str, reports: list[Path], files: Path, environment: Path) -> Row:
    again = [report.with_name(f"{report.stem}{AGAIN}.xml") for report in reports]
    read = [*reports, *(report for report in again if report.exists())]
    passed, failed = counted(report.read_text(encoding="utf-8") for report in read)
    versions = {name: short(_package_version(files, package)) for name, package in _PACKAGES.items()}
    on = date.fromtimestamp(max(report.stat().st_mtime for report in reports)).isoformat()
    core = next(environment.glob("lib/python3*/site-packages/ansible_core-*.dist-info")).name
    return Row(
        system,
        versions["libvirt"],
        versions["QEMU"],
        versions["Python"],
        short(core.split("-")[1]),
        f"`{run}`",
        str(passed),
        str(failed),
        on,
    )


def _package_version(files: Path, package: str) -> str:
    query = ["dpkg-query", f"--admindir={files}/var/lib/dpkg", "--show", "--showformat=${Version}", package]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout


def short(version: str) -> str:
    """Return the first two numbers of a version, as Debian's packages have it: C(1:10.0.13+ds-0) is 10.0."""
    found = re.match(r"(?:\d+:)?(\d+\.\d+)", version)
    assert found, version
    return found[1]


def counted(reports: Iterable[str], skip_fails: bool = True) -> tuple[int, int]:
    """Return how many tests passed, and how many failed or, if C(skip_fails), were skipped.

    The last run of each counts.
    """
    bad = ("failure", "error", "skipped") if skip_fails else ("failure", "error")
    passed: dict[tuple[str, str], bool] = {}
    for report in reports:
        for test in ElementTree.fromstring(report).iter("testcase"):
            name = (test.get("classname", ""), test.get("name", ""))
            if skip_fails or test.find("skipped") is None:
                passed[name] = not any(child.tag in bad for child in test)
    good = sum(passed.values())
    return good, len(passed) - good


def with_rows(page: str, rows: Iterable[Row]) -> str:
    """Return the page with these rows in its table, each in the slot of an older one of the same system and run."""
    marked = _MARKS.search(page)
    assert marked, "the page has no marks"
    merged: dict[tuple[str, str], Row] = {(row.system, row.run): row for row in _rows_of(marked[0])}
    merged.update({(row.system, row.run): row for row in rows})
    order = [THIS_MACHINE, *systems.SYSTEMS]
    table = [HEAD, ["---"] * len(HEAD), *sorted(merged.values(), key=lambda row: (order.index(row.system), row.run))]
    lines = "".join("| %s |\n" % " | ".join(cells) for cells in table)
    return _MARKS.sub(lambda found: f"{found[1]}{lines}{found[2]}", page)


def _rows_of(table: str) -> Iterable[Row]:
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(HEAD) and cells[0] not in (HEAD[0], "---"):
            yield Row(*cells)


if __name__ == "__main__":
    main()
