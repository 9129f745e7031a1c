# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation site: what C(antsibull-docs sphinx-init) sets up, and the pages of the checkout.

Any warning or broken link is a failure.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.run.stage import project_files

from .links import problems

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
SOURCE = ROOT / ".cache" / "site-source"
PAGES = SOURCE / "rst"
SITE = ROOT / ".cache" / "site"
ANTSIBULL_OPTIONS = ["--use-current", "--squash-hierarchy", "--fail-on-error"]


def main() -> int:
    """Build the site, and return the exit code."""
    for directory in (SOURCE, SITE):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o755)
    try:
        _set_up()
        _gather_pages()
        _build()
    except subprocess.CalledProcessError as error:
        print(f"{Path(error.cmd[0]).name} failed", file=sys.stderr)
        return 1
    shutil.copyfile(SITE / "README.html", SITE / "index.html")
    found = problems(SITE)
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{SITE}/index.html, {len(found)} broken links")
    return 1 if found else 0


def _set_up() -> None:
    names = ["--project=zstack.kvm", "--title=zstack.kvm", "--copyright=zstack.kvm contributors"]
    _run("antsibull-docs", "sphinx-init", *ANTSIBULL_OPTIONS, *names, "--dest-dir", str(SOURCE), "zstack.kvm")
    (PAGES / "index.rst").unlink()
    with (SOURCE / "conf.py").open("a", encoding="utf-8") as conf:
        additions = (HERE / "conf_additions.py").read_text(encoding="utf-8")
        conf.write(additions.replace("from __future__ import annotations\n", ""))


def _gather_pages() -> None:
    """Copy all files, because pages may link to any; Sphinx makes pages only of those that it knows."""
    for name in project_files(ROOT):
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, PAGES / name)
    # The README is the front page; the tree of all pages, which a forge has no use for, stands below it.
    with (PAGES / "README.md").open("a", encoding="utf-8") as front_page:
        front_page.write("\n" + (HERE / "contents.md").read_text(encoding="utf-8"))


def _build() -> None:
    collection = PAGES / "collection"
    collection.mkdir(mode=0o755)
    options = ["--config-file", str(SOURCE / "antsibull-docs.cfg"), "collection", *ANTSIBULL_OPTIONS]
    _run("antsibull-docs", *options, "--no-add-antsibull-docs-version", "--dest-dir", str(collection), "zstack.kvm")
    strict = ["--quiet", "--fail-on-warning", "--keep-going", "-j", "auto"]
    doctrees = ["-d", str(SOURCE / "doctrees")]
    _run("sphinx-build", *strict, "-b", "html", *doctrees, "-c", str(SOURCE), str(PAGES), str(SITE))


def _run(program: str, *arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).parent / program), *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
