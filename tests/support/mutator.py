# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes documents, texts and bytes at random; the same seed makes the same changes."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

NASTY_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1 << 31, 1 << 63, 1 << 130, 0.5, 1e308, float("inf"), float("nan")),
    *("", " ", "0", "-1", "1e999", "yes", "inf", "\x00", "\x1b[31m", "\u202e", "\ud800", "\U0001f600", "\u0661"),
    *("a" * 300, "1" * 40, "1" * 5000, "0x" + "f" * 5000, "\u00b2", "2GiB", "{{ 1 }}", "${x}", "../..", "/dev/null"),
    *("<a/>", "]]>", "&e;", "%s%n", "::1%eth0"),
    *("{", "[1,2", [], {}, [[]], [None], {"": None}, {"a": {}}, ["x"] * 40),
    *({"__ansible_type": None}, {"__ansible_unsafe": "x"}),
)
NASTY_BYTES = (b"", b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"[" * 50, b"\\u", b"1e9999", b"NaN", b",", b"}")


class Mutator:
    """Returns changed copies of what it is given."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def data(self, original: Any) -> Any:
        """Return JSON-like data with one to four changes in it."""
        root = [copy.deepcopy(original)]
        for _change in range(self.random.randint(1, 4)):
            self._change(root)
        return root[0]

    def _change(self, root: list[Any]) -> None:
        container: Any = root
        key: Any = 0
        while isinstance(container[key], (dict, list)) and container[key] and self.random.random() < 0.8:
            container = container[key]
            key = self.random.choice(list(container) if isinstance(container, dict) else range(len(container)))
        value = container[key]
        kind = self.random.randrange(6)
        if kind == 0 and container is not root:
            del container[key]
        elif kind == 1 and isinstance(container, dict):
            container[self.text(str(key))] = value
        elif kind == 2 and isinstance(container, list):
            container.extend([value] * self.random.choice([1, 2, 100]))
        elif kind == 3 and isinstance(value, str):
            container[key] = self.text(value)
        elif kind == 4:
            container[key] = [value] if self.random.random() < 0.5 else {str(value)[:20]: value}
        else:
            container[key] = copy.deepcopy(self.random.choice(NASTY_VALUES))

    def text(self, original: str, pieces: Sequence[str] = ()) -> str:
        """Return a text with a piece removed, inserted or repeated."""
        start = self.random.randint(0, len(original))
        end = min(len(original), start + self.random.choice([0, 1, 1, 2, 8]))
        texts = [value for value in NASTY_VALUES if isinstance(value, str)]
        new = self.random.choice([*(pieces or texts), original[start:end] * 3, chr(self.random.randrange(0x110000))])
        return original[:start] + new + original[end:]

    def bytes(self, original: bytes) -> bytes:
        """Return bytes with one to four changes in them."""
        changed = bytearray(original)
        for _change in range(self.random.randint(1, 4)):
            start = self.random.randint(0, len(changed))
            end = min(len(changed), start + self.random.choice([0, 1, 1, 4, 64]))
            new = self.random.choice([*NASTY_BYTES, self.random.randbytes(4), bytes(changed[start:end]) * 2])
            changed[start:end] = new
        return bytes(changed)
