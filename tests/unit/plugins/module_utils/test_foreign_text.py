# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from others is cleaned before it is shown."""

from __future__ import annotations

import time
import unicodedata

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils.foreign_text import clean, clean_all, clean_line, shorten
from hypothesis import given, settings
from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x1b[2J\x1b[31mb", "a\ufffd\ufffdb"),
        ("a\x9b31mb", "a\ufffd31mb"),
        ("a\x1b]0;title\x07b", "a\ufffdb"),
        ("a\x9d8;;http://x\x9cb", "a\ufffd8;;http://x\ufffdb"),
        ("a\x1bcb\x00\x7f\x85", "a\ufffdb\ufffd\ufffd\ufffd"),
        ("a\u202eb\u2066c\u2028d", "a\ufffdb\ufffdc\ufffdd"),
        ("a\ud800b", "a\ufffdb"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("a\rb", "a\ufffdb"),
        ("Über 東京 👩\u200d💻", "Über 東京 👩\u200d💻"),
    ],
)
def test_terminal_control_sequences_are_replaced(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_an_unterminated_sequence_hides_nothing() -> None:
    assert clean("disk a\x1b]0;b is missing\nsecond line") == "disk a\ufffd0;b is missing\nsecond line"


def test_a_line_is_one() -> None:
    assert clean_line("web\n01\t\x0b") == "web 01 \ufffd"


@settings(deadline=None)
@given(ANY_TEXT)
def test_clean_text_can_be_written_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert not [each for each in cleaned if unicodedata.category(each) in ("Cc", "Cs") and each not in "\n\t"]
    assert cleaned.encode("utf-8").decode("utf-8") == clean(cleaned)


@pytest.mark.parametrize("piece", ["\x1b[", "\x1b]", "\x9b0", "\x9d", "\x1b ", "\r", "\x1b[0;", "a"])
def test_cleaning_takes_linear_time(piece: str) -> None:
    began = time.process_time()
    clean(piece * 200_000)
    assert time.process_time() - began < 5


def test_all_text_of_a_result_is_cleaned_and_nothing_else_changes() -> None:
    dirty = {"a\x1b": ["b\x07", {"c": ("d\x9b", 1, None, True)}]}
    assert clean_all(dirty) == {"a\ufffd": ["b\ufffd", {"c": ["d\ufffd", 1, None, True]}]}


def test_of_a_long_text_the_middle_is_left_out() -> None:
    assert shorten("x" * 10, most=10) == "x" * 10
    assert shorten("begins" + "x" * 100 + "ends", most=10) == "begin … xends"
