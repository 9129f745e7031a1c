# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ZStack's StartVmCmd, the JSON document that its management node sends, as one entry of C(vms).

Only the form is changed here: names, the addons bag, defaults of the document's generation. Values are validated by
C(_spec.parse), for documents and playbooks alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from . import start_vm_cmd_2018, start_vm_cmd_today
from .document_fields import DocumentReader, Fields, Nested, Option, Used
from .input_bounds import first, problem_of_data, problem_of_json
from .option_values import kind_of

MAX_NAMED = 20  # unknown fields and warnings

# Every document of ZStack Cloud 5 and ZSphere has these, and none of 2018 has any.
FIELDS_OF_TODAY = ("bootMode", "cdRoms", "machineType")


class StartVmCmdError(ValueError):
    """An invalid StartVmCmd, or one with unknown fields. C(problems) has all of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("not a usable StartVmCmd: %s" % "; ".join(problems))
        self.problems = problems


class ReadDocument(NamedTuple):
    """The VM of a document as far as it is valid, and the options that are missing because of the problems."""

    vm: dict[str, Any]
    warnings: list[str]
    problems: list[str]
    unread: frozenset[str]


def read_document(document: Any, unknown: str = "error") -> ReadDocument:
    """Return what a document (a mapping or JSON text) says. Raises C(StartVmCmdError) if it is not a mapping.

    Unknown fields are a problem; with C(unknown) C(warn) they are dropped with a warning, with C(ignore) silently.
    No problem repeats a value that could be a secret.
    """
    reader, fields = DocumentReader(), parsed_document(document)
    vm = converted(fields, reader)
    problems = first(reader.problems)
    warnings = first(reader.warnings, MAX_NAMED)
    names = ", ".join(first(reader.unknown, MAX_NAMED))
    if names and unknown == "error":
        problems.append("unknown fields: %s (unknown='warn' ignores them)" % names)
    elif names and unknown == "warn":
        warnings.append("unknown fields are ignored: %s" % names)
    unread = {option for problem in reader.problems for option in _options_of(problem, _generation_of(fields).VM)}
    return ReadDocument(vm, warnings, problems, frozenset(unread))


def converted(document: Mapping[Any, Any], reader: DocumentReader) -> dict[str, Any]:
    """Return the VM that a document describes, as far as it is valid."""
    return _generation_of(document).convert(document, reader)


def _generation_of(document: Mapping[Any, Any]) -> Any:
    is_todays = any(field in document for field in FIELDS_OF_TODAY)
    return start_vm_cmd_today if is_todays else start_vm_cmd_2018


def _options_of(problem: str, fields: Fields) -> Iterator[str]:
    """Yield the options of the VM that the field of a problem becomes; the problem begins with the field's path."""
    name, inner = re.split(r"\W", problem + " ", maxsplit=1)
    row = fields.get(name)
    if name == "addons" and isinstance(row, Nested):
        yield from _options_of(inner, row.fields)
    elif isinstance(row, Used):
        yield from (option.partition(".")[0] for option in row.options)
    elif isinstance(row, Option):
        yield row.name
    elif isinstance(row, Nested):
        yield row.option


def parsed_document(document: Any) -> Mapping[Any, Any]:
    """Return the fields of a document (a mapping or JSON text). Raises C(StartVmCmdError)."""
    parsed = _parsed(document) if isinstance(document, str) else document
    problem = problem_of_data(parsed)
    if problem:
        raise StartVmCmdError(["the document %s" % problem])
    if not isinstance(parsed, Mapping):
        raise StartVmCmdError(["the document must be a mapping of fields, not %s" % kind_of(parsed)])
    return parsed


def _parsed(text: str) -> Any:
    problem = problem_of_json(text)
    if problem:
        raise StartVmCmdError(["the text %s" % problem])
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise StartVmCmdError(
            ["the text is not JSON: %s in line %d, column %d" % (error.msg, error.lineno, error.colno)]
        ) from None
    except (RecursionError, ValueError):
        raise StartVmCmdError(["the text is not readable JSON"]) from None
