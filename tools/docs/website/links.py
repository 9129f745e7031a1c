# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that a built site has no broken links and can be read without a network."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urlsplit

# What a browser loads by itself, and the attribute that says from where.
_LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}
# Relations of a <link> for which browsers load nothing.
_NOT_LOADED = {"canonical", "next", "prev", "search", "index", "author", "help"}


class _Page(HTMLParser):
    """The link targets of a page, and its links."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        found = dict(attrs)
        self.anchors |= {value for value in (found.get("id"), found.get("name")) if value}
        if tag == "a" and found.get("href") is not None:
            self.links.append(str(found["href"]))
        if tag in _LOADED and found.get(_LOADED[tag]) and (found.get("rel") or "") not in _NOT_LOADED:
            self.loaded.append(str(found[_LOADED[tag]]))


def problems(site: Path) -> list[str]:
    """Return the problems, one sentence each."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name} loads {link}" for link in page.loaded if urlsplit(link).scheme in ("http", "https")]
        found += [f"{name} loads {link}" for link in page.loaded if link.startswith("//")]
        for link in [*page.links, *page.loaded]:
            if not _leads_somewhere(path, link, pages):
                found.append(f"{name} links to {link}, which is not there")
    return found


def _leads_somewhere(path: Path, link: str, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not parts.fragment or target not in pages:
        return target.exists()
    return unquote(parts.fragment) in pages[target].anchors


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page
