# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secret texts in the values of patches with C(no_log)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from .vm import DomainPatch

_TEXT = re.compile(r"""=\s*"([^"<]*)"|=\s*'([^'<]*)'|>([^<>]+)(?=<)""")


def is_secret(no_log: Any) -> bool:
    """Return whether the value of a patch is hidden; anything that is not a boolean counts as true."""
    try:
        return bool(boolean(no_log)) if no_log is not None else False
    except TypeError:
        return True


def texts_of(value: str) -> Iterator[str]:
    """Yield the value of a patch, and each text and attribute in it, escaped and unescaped."""
    from html import unescape

    for text in [value, *(next(filter(None, found.groups()), "") for found in _TEXT.finditer(value))]:
        if text.strip():
            yield text.strip()
            yield unescape(text.strip())


def secrets_of_patches(patches: Iterable[DomainPatch]) -> set[str]:
    """Return the secret texts of a VM's patches."""
    return {text for patch in patches if patch.no_log for text in texts_of(patch.value or "")}
