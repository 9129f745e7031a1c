# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from others: guests, users of the hypervisor, images, QEMU, libvirt. Pure.

Such text is cleaned here before it becomes a message, a warning, a row of a table, a log or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Shown instead of a character that is removed.
REPLACEMENT = "\ufffd"
# A message is read by people and searched by patterns: more than this is of no use.
MAX_MESSAGE = 8192

# Terminal control: CSI and OSC sequences and other escapes.
_SEQUENCES = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\n\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b[ -/]*[0-~]?")
# Control characters other than tabs and line ends, other kinds of line ends, characters that change the writing
# direction or are invisible, and unpaired surrogates, which can't be encoded.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str, replacement: str = REPLACEMENT) -> str:
    """Return the text without anything that a terminal, a log or a page would obey; it may have several lines."""
    return _CONTROLS.sub(replacement, _SEQUENCES.sub(replacement, text.replace("\r\n", "\n")))


def clean_line(text: str) -> str:
    """Return the text clean and on one line, such as the name of a VM."""
    return clean(" ".join(text.split("\n"))).replace("\t", " ")


def clean_all(value: Any) -> Any:
    """Return a result, however it is nested, with all its text clean."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean_all(key): clean_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_all(item) for item in value]
    return value


def shorten(text: str, most: int = MAX_MESSAGE) -> str:
    """Return the text, or its beginning and its end where it has more than C(most) characters."""
    if len(text) <= most:
        return text
    return "%s … %s" % (text[: most // 2], text[-(most // 2) :])
