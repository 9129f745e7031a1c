# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An element is shown on one line and without secrets."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.text import element_text
from lxml import etree


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        pytest.param("<shares>1024</shares>", "1024", id="text alone"),
        pytest.param("<readonly/>", "<readonly/>", id="nothing"),
        pytest.param('<size unit="KiB">5</size>', '<size unit="KiB">5</size>', id="text and attributes"),
        pytest.param("<a>x<b/></a>", "<a>x<b/></a>", id="text beside an element"),
        pytest.param("<pm>\n  <a/>\n  <b>x y</b>\n</pm>\n", "<pm><a/><b>x y</b></pm>", id="indented"),
    ],
)
def test_is_on_one_line(xml: str, text: str) -> None:
    assert element_text(etree.fromstring(xml.strip())) == text


def test_what_follows_the_element_is_not_shown() -> None:
    first = etree.fromstring("<devices><disk/>  <interface/></devices>")[0]
    assert element_text(first) == "<disk/>"


def test_a_secret_is_masked_at_every_depth() -> None:
    shown = element_text(etree.fromstring('<devices passwd="one"><graphics passwd="two"/></devices>'))
    assert shown == '<devices passwd="********"><graphics passwd="********"/></devices>'


def test_the_element_itself_keeps_its_secret() -> None:
    graphics = etree.fromstring('<graphics passwd="one"/>')
    element_text(graphics)
    assert graphics.get("passwd") == "one"
