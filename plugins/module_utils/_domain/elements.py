# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers that write XML."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass


def add(parent: etree._Element, tag: str, text: Optional[str] = None, **attributes: str) -> etree._Element:
    """Append an element with attributes and text, and return it."""
    element = etree.SubElement(parent, tag, attributes)
    element.text = text
    return element
