# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One value becomes that of its type, or is described without being repeated."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.option_values import (
    convert,
    hint_for,
    hint_for_unknown,
    kind_of,
    shown,
    shown_name,
    whole_number,
)


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        ("2GiB", "bytes", 2 << 30),
        ("1.5 G", "bytes", 3 << 29),
        (2.0 * (1 << 30), "bytes", 2 << 30),
        ("100Mb", "bits", 100 << 20),
        ("0x1f", "int", 31),
        (" 7 ", "int", 7),
        (7.0, "int", 7),
        ("yes", "bool", True),
        ("off", "bool", False),
    ],
)
def test_a_value_is_converted_to_its_type(value: Any, kind: str, converted: Any) -> None:
    assert convert(value, {"type": kind}) == converted


def test_a_choice_that_yaml_read_as_false_is_the_text() -> None:
    assert convert(False, {"type": "str", "choices": ["off", "all"]}) == "off"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "int"),
        (True, "str"),
        (1.1, "str"),
        (83, "str"),
        ("1e999", "bytes"),
        (float("inf"), "int"),
        (1 << 70, "bool"),
        ("9" * 31, "int"),
        ([], "str"),
        ("x", "bytes"),
    ],
)
def test_what_only_looks_like_a_value_is_none(value: Any, kind: str) -> None:
    with pytest.raises(ValueError):
        convert(value, {"type": kind})


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("-1", -1), ("1.0", None), (" 1", None), ("١", None), ("1" * 41, None)]
)
def test_a_whole_number_has_decimal_digits_only(text: str, number: Optional[int]) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", "'a\\nb'"),
        (5, "5"),
        (["secret"], "a list"),
        (1 << 200, "a number of 201 bits"),
        ("x" * 70, "'" + "x" * 59 + "…"),
    ],
    ids=["control character", "number", "list", "long number", "long text"],
)
def test_a_value_is_shown_short_and_on_one_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(("key", "name"), [("mac", "mac"), ("a\nb", "'a\\nb'")])
def test_the_name_of_an_option_is_shown_as_it_is_unless_it_breaks_the_line(key: str, name: str) -> None:
    assert shown_name(key) == name


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "nothing"),
        (True, "true or false"),
        ("a", "text"),
        (1.5, "a number"),
        ({}, "a mapping"),
        ((), "a list"),
        (b"", "bytes"),
    ],
)
def test_the_kind_of_a_value_does_not_repeat_it(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


@pytest.mark.parametrize(
    ("value", "option", "hint"),
    [
        ("VNC", {"type": "str", "choices": ["vnc", "spice"]}, "did you mean vnc?"),
        ("zzz", {"type": "str", "choices": ["vnc", "spice"]}, ""),
        ("x", {"type": "int"}, ""),
    ],
)
def test_a_hint_names_the_choice_that_is_near(value: Any, option: dict[str, Any], hint: str) -> None:
    assert hint_for(value, option) == hint


@pytest.mark.parametrize(
    ("value", "beginning"), [(False, "YAML reads yes, no, on and off"), (83, "YAML reads digits as a number")]
)
def test_a_hint_says_what_yaml_made_of_a_text(value: Any, beginning: str) -> None:
    assert hint_for(value, {"type": "str"}).startswith(beginning)


@pytest.mark.parametrize(
    ("key", "hint"), [("mac_", "did you mean mac?"), ("zzz", "known options: mac, name"), ("n" * 61, None)]
)
def test_a_hint_for_an_unknown_option_names_those_that_are_known(key: str, hint: Optional[str]) -> None:
    assert hint_for_unknown(key, ["name", "mac"]) == (hint or "known options: mac, name")
