# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document is read by a table of its fields: types are checked, and no field is overlooked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.document_fields import (
    ANY,
    BOOL,
    INT,
    MAPPING,
    TEXT,
    TEXTS,
    DocumentReader,
    Field,
    Fields,
    Ignored,
    Nested,
    Option,
    Refused,
    Sent,
    Used,
    inner_path,
    is_number,
)

INNER: Fields = {"size": Option("size", INT)}


def read(row: Field, raw: Any) -> tuple[Sent, DocumentReader]:
    """Read a document with the field C(f)."""
    reader = DocumentReader()
    return reader.read({"f": raw}, {"f": row}, "doc"), reader


@pytest.mark.parametrize(
    ("row", "raw", "options"),
    [
        pytest.param(Option("o"), "a", {"o": "a"}, id="text"),
        pytest.param(Option("o", INT), 5, {"o": 5}, id="number"),
        pytest.param(Option("o", INT), "5", {"o": "5"}, id="text of a number"),
        pytest.param(Option("o", BOOL), "True", {"o": True}, id="text of a boolean"),
        pytest.param(Option("o", TEXTS), ["a", "b"], {"o": ["a", "b"]}, id="texts"),
        pytest.param(Option("o", words={"A": "a"}), "A", {"o": "a"}, id="word"),
        pytest.param(Option("o"), None, {}, id="null"),
        pytest.param(Nested("o", INNER), None, {}, id="null instead of a mapping"),
        pytest.param(Used(TEXT, ("o",), ""), "a", {}, id="used"),
        pytest.param(Ignored("why"), "a", {}, id="ignored"),
        pytest.param(Refused("instead"), False, {}, id="refused without a value"),
        pytest.param(Refused("instead"), "False", {}, id="refused with the text of a boolean"),
        pytest.param(Ignored("why", of_2018=True), [], {}, id="of 2018 without a value"),
        pytest.param(Nested("o", INNER), {"size": 1}, {"o": {"size": 1}}, id="mapping"),
        pytest.param(Nested("", INNER), {"size": 1}, {}, id="mapping that the caller uses"),
        pytest.param(Nested("o", INNER, many=True), [{"size": 1}, {}], {"o": [{"size": 1}, {}]}, id="list"),
        pytest.param(Nested("o", INNER, many=True, lone=True), {"size": 1}, {"o": [{"size": 1}]}, id="lone mapping"),
    ],
)
def test_a_field_becomes_options(row: Field, raw: Any, options: dict[str, Any]) -> None:
    sent, reader = read(row, raw)
    assert (sent.options, reader.problems) == (options, [])


@pytest.mark.parametrize(
    ("row", "raw", "value"),
    [
        pytest.param(Option("o", INT), "5", 5, id="option"),
        pytest.param(Used(INT, (), ""), "5", 5, id="used"),
        pytest.param(Used(BOOL, (), ""), "false", False, id="boolean"),
        pytest.param(Used(ANY, (), ""), [1], [1], id="any value"),
        pytest.param(Used(MAPPING, (), ""), {"a": 1}, {"a": 1}, id="mapping"),
        pytest.param(Option("o", words={"A": "a"}), "A", "A", id="word"),
        pytest.param(Ignored("why"), "a", None, id="ignored"),
    ],
)
def test_the_value_of_a_field_is_converted_for_the_caller(row: Field, raw: Any, value: Any) -> None:
    assert read(row, raw)[0].get("f") == value


@pytest.mark.parametrize(
    ("row", "raw", "problem"),
    [
        (Option("o"), 5, "doc.f must be text, not a number"),
        (Option("o", INT), "5.0", "doc.f must be a whole number, not text"),
        (Option("o", INT), True, "doc.f must be a whole number, not true or false"),
        (Option("o", BOOL), "yes", "doc.f must be true or false, not text"),
        (Option("o", TEXTS), "a", "doc.f must be a list, not text"),
        (Option("o", TEXTS), ["a", 1], "doc.f[1] must be text, not a number"),
        (Option("o", words={"A": "a", "B": "b"}), "a", "doc.f must be one of A, B"),
        (Option("o", required=True), None, "doc.f is required"),
        (Used(MAPPING, (), ""), [], "doc.f must be a mapping, not a list"),
        (Refused("do that"), "a", "doc.f is not supported: do that"),
        (Nested("o", INNER), [], "doc.f must be a mapping, not a list"),
        (Nested("o", INNER, many=True), {}, "doc.f must be a list, not a mapping"),
        (Nested("o", INNER, many=True), [5], "doc.f[0] must be a mapping, not a number"),
        (Nested("o", INNER, many=True), [{"size": "x"}], "doc.f[0].size must be a whole number, not text"),
    ],
)
def test_a_wrong_value_is_a_problem_with_its_path(row: Field, raw: Any, problem: str) -> None:
    sent, reader = read(row, raw)
    assert (reader.problems, "f" in sent.given) == ([problem], raw is not None)


@pytest.mark.parametrize(("raw", "members"), [(["a", "b"], ["a", "b"]), ([], []), (None, [])], ids=repr)
def test_a_list_has_members_or_none(raw: Any, members: list[str]) -> None:
    assert read(Option("o", TEXTS), raw)[0].all("f") == members


def test_an_unknown_field_is_listed_with_its_path() -> None:
    _sent, reader = read(Nested("o", INNER), {"size": 1, "color": 2})
    assert (reader.unknown, reader.problems) == (["doc.f.color"], [])


@pytest.mark.parametrize(
    ("raw", "expected"), [(5, True), ("-5", True), (True, False), ("5.0", False), (5.0, False)], ids=repr
)
def test_a_number_may_be_text(raw: Any, expected: bool) -> None:
    assert is_number(raw) is expected


@pytest.mark.parametrize(
    ("path", "key", "inner"), [("", "f", "f"), ("a[0]", "f", "a[0].f"), ("a", 5, "a.5"), ("a", "\n", "a.'\\n'")]
)
def test_a_path_is_that_of_the_mapping_and_the_field(path: str, key: Any, inner: str) -> None:
    assert inner_path(path, key) == inner


def test_a_field_that_only_documents_of_2018_use_is_a_warning() -> None:
    _sent, reader = read(Ignored("another field decides", of_2018=True), "a")
    assert reader.warnings == ["doc.f has no effect: another field decides"]
