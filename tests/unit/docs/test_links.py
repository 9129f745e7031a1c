# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links between pages work, even in the repository, and the files that they and the picture name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.unit.docs.pages import CHECKOUT, pages, prose

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_PATH = re.compile(r"`((?:docs|extensions|molecule|playbooks|plugins|roles|tests|tools)/[\w./-]+)`")

# A path below module_utils: of its packages, and of files that have none.
_PRIVATE = re.compile(r"(?<![\w/])(?:_[a-z_]+/[\w./*]*|[a-z_]+\.py\b)")
MODULE_UTILS = CHECKOUT / "plugins" / "module_utils"
DESCRIPTIONS = ["CONTRIBUTING.md", "docs/architecture.md", "docs/images/way-of-a-vm.svg"]

each_page = pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(CHECKOUT)))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site name them."""
    titles = (re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()) for title in _HEADING.findall(prose(page)))
    return {title.strip().replace(" ", "-") for title in titles}


def problem(page: Path, link: str) -> str:
    """Return why the link is broken; empty if it is not."""
    if re.match(r"https?://", link):
        return ""
    path, _hash, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return f"{link}: there is no {path}"
    if anchor and anchor not in anchors(target):
        return f"{link}: there is no such heading"
    return ""


@each_page
def test_links_work(page: Path) -> None:
    links = _LINK.findall(_CODE.sub("", prose(page)))
    assert [found for found in (problem(page, link) for link in links) if found] == []


@each_page
def test_named_files_exist(page: Path) -> None:
    assert [name for name in _PATH.findall(prose(page)) if not (CHECKOUT / name.rstrip("/")).exists()] == []


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_files_of_module_utils_that_are_named_exist(name: str) -> None:
    named = _PRIVATE.findall((CHECKOUT / name).read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not list(MODULE_UTILS.glob(path.rstrip("/.")))] == []


def test_every_page_of_docs_is_linked() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in pages()
        for link in _LINK.findall(_CODE.sub("", prose(page)))
    }
    assert [page.name for page in pages() if page.parent.name == "docs" and page.resolve() not in linked] == []
