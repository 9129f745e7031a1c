# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show an element to people: on one line, whoever wrote it, and without secrets."""

from __future__ import annotations

import copy

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .rules import SECRET_ATTRIBUTES

MASK = "********"


def element_text(element: etree._Element) -> str:
    """Return an element on one line, as the value of a path, with secrets masked."""
    shown = _without_secrets_and_indentation(element)
    if len(shown) == 0 and not shown.attrib and shown.text:
        return shown.text
    etree.cleanup_namespaces(shown)
    return etree.tostring(shown, encoding="unicode")


def _without_secrets_and_indentation(element: etree._Element) -> etree._Element:
    shown = copy.deepcopy(element)
    shown.tail = None
    for part in shown.iter():
        for name in SECRET_ATTRIBUTES.intersection(part.attrib):
            part.set(name, MASK)
        if len(part) and not (part.text or "").strip():
            part.text = None
        if not (part.tail or "").strip():
            part.tail = None
    return shown
