# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a document by tables of its fields: types are checked, and no field is overlooked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from .option_values import kind_of, shown, shown_name, whole_number

TEXT = "text"
INT = "a whole number"
BOOL = "true or false"
TEXTS = "a list of texts"
MAPPING = "a mapping"
ANY = "any value"


@dataclass(frozen=True)
class Option:
    """A field that becomes an option as it is; C(words) translates its values."""

    name: str
    kind: str = TEXT
    required: bool = False
    words: Optional[Mapping[str, str]] = None
    note: str = ""


@dataclass(frozen=True)
class Used:
    """A field that decides about options together with others; C(options) are the paths of those options."""

    kind: str
    options: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Ignored:
    """A field without effect on the VM. C(of_2018): it has one in documents of 2018, so that a value is a warning."""

    reason: str
    of_2018: bool = False


@dataclass(frozen=True)
class Refused:
    """A field that must not have a value (other than false or empty), and what to do instead."""

    instead: str


@dataclass(frozen=True)
class Nested:
    """A field with fields: a mapping, or with C(many) a list of mappings.

    With C(option) they become that option, else the caller uses them. C(lone): one mapping stands for a list of it.
    """

    option: str
    fields: Fields
    many: bool = False
    required: bool = False
    lone: bool = False
    note: str = ""


Field = Union[Option, Used, Ignored, Refused, Nested]
Fields = Mapping[str, Field]


@dataclass
class Sent:
    """The fields of one level that have a value of their type.

    C(options): what they become as they are. C(values): booleans and numbers as such, even where they were text;
    nested fields are C(Sent). C(given): all fields that are not null, also those of a wrong type.
    """

    path: str
    options: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a field, C(default) if it has none."""
        return self.values.get(name, default)

    def all(self, name: str) -> list[Any]:
        """Return the members of a list, none if the field has no value."""
        return self.values.get(name) or []

    def inner(self, name: str) -> str:
        """Return the path of a field."""
        return inner_path(self.path, name)


class DocumentReader:
    """Reads a document, and collects its problems, warnings and unknown fields."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.unknown: list[str] = []

    def read(self, raw: Mapping[Any, Any], fields: Fields, path: str) -> Sent:
        """Return the fields of one level."""
        sent = Sent(path)
        for key, value in raw.items():
            inner = inner_path(path, key)
            if key not in fields:
                self.unknown.append(inner)
            elif value is not None:
                sent.given.add(key)
                self._read_field(key, value, fields[key], inner, sent)
        for key, row in fields.items():
            if isinstance(row, (Option, Nested)) and row.required and raw.get(key) is None:
                self.problems.append("%s is required" % inner_path(path, key))
        return sent

    def is_kind(self, raw: Any, kind: Any, kind_name: str, path: str) -> bool:
        """Return whether a value is of a Python type; if not, that is a problem."""
        if isinstance(raw, kind):
            return True
        self.problems.append("%s must be %s, not %s" % (path, kind_name, kind_of(raw)))
        return False

    def is_true(self, raw: Any, path: str) -> bool:
        """Return whether a value is true; one that is no boolean is a problem."""
        return bool(self._value(raw, BOOL, path))

    def _read_field(self, key: str, raw: Any, row: Field, path: str, sent: Sent) -> None:
        if isinstance(row, Nested):
            self._read_nested(key, raw, row, path, sent)
        elif isinstance(row, Ignored):
            if row.of_2018 and raw not in ("", [], {}):
                self.warnings.append("%s has no effect: %s" % (path, row.reason))
        elif isinstance(row, Refused):
            if raw not in (False, "", [], {}) and str(raw).lower() != "false":
                self.problems.append("%s is not supported: %s" % (path, row.instead))
        elif isinstance(row, Used):
            value = self._value(raw, row.kind, path)
            if value is not None:
                sent.values[key] = value
        elif isinstance(row, Option):
            value = self._value(raw, row.kind, path)
            if value is not None and row.words is not None:
                self._translate(key, value, row, path, sent)
            elif value is not None:
                sent.values[key] = value
                sent.options[row.name] = value if row.kind == BOOL else raw

    def _translate(self, key: str, value: Any, row: Option, path: str, sent: Sent) -> None:
        words = row.words or {}
        if value in words:
            sent.values[key] = value
            sent.options[row.name] = words[value]
        else:
            self.problems.append("%s must be one of %s" % (path, ", ".join(words)))

    def _read_nested(self, key: str, raw: Any, row: Nested, path: str, sent: Sent) -> None:
        if row.lone and isinstance(raw, Mapping):
            raw = [raw]
        if not row.many:
            if self.is_kind(raw, Mapping, "a mapping", path):
                one = sent.values[key] = self.read(raw, row.fields, path)
                if row.option:
                    sent.options[row.option] = one.options
        elif self.is_kind(raw, list, "a list", path):
            many = sent.values[key] = [
                self.read(item, row.fields, "%s[%d]" % (path, index))
                for index, item in enumerate(raw)
                if self.is_kind(item, Mapping, "a mapping", "%s[%d]" % (path, index))
            ]
            if row.option:
                sent.options[row.option] = [item.options for item in many]

    def _value(self, raw: Any, kind: str, path: str) -> Any:
        """Return a value of its kind, None if it is of another one, which is a problem."""
        if kind == TEXTS:
            return self._texts(raw, path)
        if kind == MAPPING:
            return raw if self.is_kind(raw, Mapping, kind, path) else None
        if kind == BOOL and isinstance(raw, str) and raw.lower() in ("true", "false"):
            return raw.lower() == "true"
        right = {BOOL: isinstance(raw, bool), TEXT: isinstance(raw, str), INT: is_number(raw), ANY: True}[kind]
        if not right:
            self.problems.append("%s must be %s, not %s" % (path, kind, kind_of(raw)))
            return None
        return int(raw) if kind == INT else raw

    def _texts(self, raw: Any, path: str) -> Optional[list[str]]:
        if not self.is_kind(raw, list, "a list", path):
            return None
        wrong = [index for index, item in enumerate(raw) if not isinstance(item, str)]
        for index in wrong:
            self.problems.append("%s[%d] must be text, not %s" % (path, index, kind_of(raw[index])))
        return None if wrong else raw


def is_number(raw: Any) -> bool:
    """Return whether a value is a whole number, or a template's text of one."""
    if isinstance(raw, str):
        return whole_number(raw) is not None
    return isinstance(raw, int) and not isinstance(raw, bool)


def inner_path(path: str, key: Any) -> str:
    """Return the path of a field of the mapping at C(path)."""
    name = shown_name(key) if isinstance(key, str) else shown(key)
    return "%s.%s" % (path, name) if path else name
