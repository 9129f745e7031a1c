# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Elements of domains drawn from libvirt's own schema, as domain patches would add them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Optional

from ansible_collections.zstack.kvm.tests.support.libvirt_schema import DOMAIN_SCHEMA
from lxml import etree

_RNG = "{http://relaxng.org/ns/structure/1.0}"
_DEEPEST = 12
# The texts that are drawn; where the schema has a pattern, one of those that match it.
_TEXTS = (
    *(
        "0",
        "1",
        "2",
        "8",
        "64",
        "512",
        "1024",
        "65536",
        "0x1",
        "0x8086",
        "0x0001",
        "yes",
        "a",
        "name",
        "vda",
        "sda",
        "vdb",
    ),
    *("/images/file", "/images/other", "52:54:00:00:00:09", "127.0.0.1", "::1", "example.org", "1.0", "ua-mine", "0-1"),
    *("7e57ab1e-0000-4000-8000-0000000000d9", "500a0b8000123456", "0x500a0b8000123456", "naa.500a0b8000123456"),
    *("2026-01-01", "a b", "GRUB", "2.0", "04", "pc.1", "virtio-disk0", "s3rial", "1,2", "3-4"),
)
_NUMBERS = ("0", "1", "2", "16", "64", "1024")


class SchemaFragments:
    """Draws elements from the schema; the same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._definitions: dict[str, list[etree._Element]] = {}
        self._read(DOMAIN_SCHEMA)
        self._top_level = {each.get("name"): each for each in self._elements_in("domaincontents")}
        self._devices = list(self._elements_below(self._top_level["devices"]))

    def device(self) -> etree._Element:
        """Return a child of C(devices)."""
        return self._drawn(self._random.choice(self._devices))

    def section(self, names: tuple[str, ...]) -> etree._Element:
        """Return one of the named children of C(domain)."""
        return self._drawn(self._top_level[self._random.choice(names)])

    def _read(self, path: Path) -> None:
        for each in etree.parse(str(path)).getroot().iter(_RNG + "include", _RNG + "define"):
            if each.tag == _RNG + "include":
                self._read(path.parent / each.get("href"))
            else:
                self._definitions.setdefault(each.get("name"), []).append(each)

    def _elements_in(self, name: str) -> Iterator[etree._Element]:
        for definition in self._definitions[name]:
            yield from self._elements_below(definition)

    def _elements_below(self, node: etree._Element) -> Iterator[etree._Element]:
        for child in node.iterchildren(tag=etree.Element):
            if child.tag == _RNG + "ref":
                yield from self._elements_in(child.get("name"))
            elif child.tag == _RNG + "element":
                if child.get("name") is not None:
                    yield child
            elif child.tag != _RNG + "attribute":
                yield from self._elements_below(child)

    def _drawn(self, node: etree._Element) -> etree._Element:
        parent = etree.Element("fragment")
        self._draw(node, parent, 0)
        return parent[0]

    def _draw(self, node: etree._Element, parent: etree._Element, depth: int) -> Optional[str]:
        """Add what a node of the schema describes to C(parent), or return the text that it describes."""
        kind = node.tag[len(_RNG) :] if isinstance(node.tag, str) else ""
        children = list(node.iterchildren(tag=etree.Element))
        if kind == "element":
            if node.get("name") is not None:
                element = etree.SubElement(parent, node.get("name"))
                element.text = self._all(children, element, depth + 1)
        elif kind == "attribute":
            if node.get("name") is not None:
                parent.set(node.get("name"), self._all(children, parent, depth) or self._random.choice(_TEXTS))
        elif kind == "choice":
            return self._draw(self._random.choice(children), parent, depth)
        elif kind in ("optional", "zeroOrMore"):
            if self._random.random() < (0.4 if depth < _DEEPEST else 0):
                return self._all(children, parent, depth)
        elif kind == "ref":
            definitions = self._definitions[node.get("name")]
            return self._all([child for each in definitions for child in each], parent, depth + 1)
        elif kind == "value":
            return node.text
        elif kind == "data":
            return self._text(node)
        elif kind == "text":
            return self._random.choice(_TEXTS)
        elif kind in ("group", "interleave", "oneOrMore", "list", "mixed"):
            return self._all(children, parent, depth)
        return None

    def _all(self, nodes: list[etree._Element], parent: etree._Element, depth: int) -> Optional[str]:
        texts = [self._draw(node, parent, depth) for node in nodes if isinstance(node.tag, str)]
        return " ".join(text for text in texts if text is not None) or None

    def _text(self, data: etree._Element) -> str:
        pattern = data.findtext(_RNG + "param[@name='pattern']")
        texts = _TEXTS if data.get("type") == "string" else _NUMBERS
        if pattern is not None:
            fitting = tuple(text for text in _TEXTS if re.fullmatch(pattern, text))
            return self._random.choice(fitting or texts)
        return self._random.choice(texts)
