# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.input_bounds import (
    MAX_DEPTH,
    MAX_STRING,
    MAX_VALUES,
    first,
    problem_of_data,
    problem_of_json,
)


def nested(levels: int) -> Any:
    value: Any = 1
    for _level in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        {"vmName": 'a \\ " b', "memory": -1.5e3, "x": [True, None, {}]},
        nested(MAX_DEPTH),
        ["x"] * (MAX_VALUES - 2),
        "a" * (MAX_STRING - 2),
        "[" * 100 + '"' * 100,
        "\U0001f600",
    ],
    ids=lambda data: str(data)[:20],
)
def test_what_may_be(data: Any) -> None:
    assert (problem_of_json(json.dumps(data)), problem_of_data(data)) == ("", "")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (nested(MAX_DEPTH + 1), "nested more than"),
        ([0] * MAX_VALUES + [0], "more than 20000 values"),
        ({str(number): number for number in range(MAX_VALUES)}, "more than 20000 values"),
        ({"a" * (MAX_STRING + 1): 1}, "a text of more than"),
    ],
    ids=lambda data: str(data)[:20],
)
def test_what_is_too_much(data: Any, problem: str) -> None:
    assert problem in problem_of_json(json.dumps(data))
    assert problem in problem_of_data(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("\ud800", "unpaired surrogate"),
        ({"a": {"\udfff": 1}}, "unpaired surrogate"),
        ([float("nan")], "not finite"),
        ({"a": float("-inf")}, "not finite"),
        (1 << 200, "a number of 201 bits"),
    ],
)
def test_what_is_no_value(data: Any, problem: str) -> None:
    assert problem in problem_of_data(data)


@pytest.mark.parametrize("piece", ["[", "{", '""', '"', "\\", "1,", "[]", '"\\', "1" * 99 + " ", "\x00", "a"])
def test_a_text_of_any_kind_takes_little_time(piece: str) -> None:
    begun = time.process_time()
    problem_of_json(piece * (1_000_000 // len(piece)))
    assert time.process_time() - begun < 2


def test_a_number_of_thousands_of_digits_is_not_parsed() -> None:
    assert "digits" in problem_of_json("1" * 5000)


def test_aliases_multiply_nothing() -> None:
    data: Any = 0
    for _level in range(5):
        data = [data] * 10_000
    begun = time.process_time()
    assert "values" in problem_of_data(data)
    assert time.process_time() - begun < 1


def test_first_says_how_many_more_there_are() -> None:
    assert first("abc", 3) == ["a", "b", "c"]
    assert first("abcd", 2) == ["a", "b", "and 2 more"]
