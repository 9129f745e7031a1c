# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper that writes XML."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.elements import add
from lxml import etree


def test_elements_are_written_in_the_order_in_which_they_are_added() -> None:
    parent = etree.Element("os")
    for dev in ("hd", "cdrom"):
        add(parent, "boot", dev=dev)

    assert etree.tostring(parent) == b'<os><boot dev="hd"/><boot dev="cdrom"/></os>'


def test_what_is_returned_is_the_element_that_was_added() -> None:
    parent = etree.Element("devices")
    add(add(parent, "tpm"), "backend")

    assert etree.tostring(parent) == b"<devices><tpm><backend/></tpm></devices>"


@pytest.mark.parametrize(
    ("text", "xml"),
    [(None, b"<a><b/></a>"), ("<c/> & d", b"<a><b>&lt;c/&gt; &amp; d</b></a>")],
)
def test_text_is_text_whatever_is_in_it(text: str, xml: bytes) -> None:
    parent = etree.Element("a")
    add(parent, "b", text)

    assert etree.tostring(parent) == xml
