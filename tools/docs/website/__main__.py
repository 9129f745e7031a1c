# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the documentation site: the collection's plugins and roles by antsibull-docs, the pages of the checkout as
they are, Sphinx over both; then follows every link of what came out. Any warning or broken link is a failure.

Runs in an environment that has antsibull-docs, Sphinx, myst-parser and sphinx-ansible-theme, with this checkout in
Ansible's collections path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from .links import problems

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
SOURCE = ROOT / ".cache" / "site-source"
SITE = ROOT / ".cache" / "site"


def main() -> int:
    """Returns the exit code."""
    started = time.monotonic()
    for directory in (SOURCE, SITE):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o755)
    _gather_pages()
    try:
        _run(*_antsibull_docs())
        _run(*_sphinx())
    except subprocess.CalledProcessError as error:
        print(f"{Path(error.cmd[0]).name} failed", file=sys.stderr)
        return 1
    shutil.copyfile(SITE / "README.html", SITE / "index.html")
    found = problems(SITE)
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"{SITE}/index.html, {time.monotonic() - started:.0f} s, {len(found)} broken links")
    return 1 if found else 0


def _gather_pages() -> None:
    """All files, for pages may link to any; Sphinx makes pages only of those that it knows."""
    list_files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(list_files, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        # A file that was removed and not yet committed is listed too.
        if (ROOT / name).is_file():
            (SOURCE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, SOURCE / name)
    # The README is the front page; what GitHub has no use for, the tree of all pages, stands below it.
    with (SOURCE / "README.md").open("a", encoding="utf-8") as front_page:
        front_page.write("\n" + (HERE / "contents.md").read_text(encoding="utf-8"))


def _antsibull_docs() -> list[str]:
    collection = SOURCE / "collection"
    collection.mkdir(mode=0o755)
    options = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--no-add-antsibull-docs-version"]
    return [_program("antsibull-docs"), "collection", *options, "--dest-dir", str(collection), "zstack.kvm"]


def _sphinx() -> list[str]:
    doctrees = SOURCE.with_name("site-doctrees")
    shutil.rmtree(doctrees, ignore_errors=True)
    options = ["--quiet", "--fail-on-warning", "--keep-going", "-j", "auto", "-b", "html", "-d", str(doctrees)]
    return [_program("sphinx-build"), *options, "-c", str(HERE), str(SOURCE), str(SITE)]


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
