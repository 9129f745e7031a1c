# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds on untrusted input, checked before anything else reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

MAX_DEPTH = 32  # a VM needs 6
MAX_VALUES = 20_000  # of one VM; one that uses every option has about 2,000
MAX_STRING = 1 << 18  # characters
MAX_NUMBER = 100  # characters of a number in JSON
MAX_NUMBER_BITS = 128
MAX_PROBLEMS = 100  # reported at once
UNPAIRED_SURROGATE = "contains an unpaired surrogate, which is not a character"

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]|[-+.0-9A-Za-z]+', re.DOTALL)
_INFINITE = re.compile(r"inf|[0-9.]e", re.IGNORECASE)
_TOO_DEEP = "is nested more than %d levels deep" % MAX_DEPTH
_TOO_MANY = "has more than %d values" % MAX_VALUES
_TOO_LONG = "has a text of more than %d characters" % MAX_STRING
_BIG_NUMBER = "has a number of more than %d digits" % MAX_NUMBER


_SCALARS = (str, int, float, type(None))


def problem_of_json(text: str, most: float = MAX_VALUES) -> str:
    """Return why this JSON text must not be parsed, empty if it may be. Its syntax is not checked.

    C(most): how many values it may have, infinite for a text about any number of VMs.
    """
    depth, values = 0, 1
    for found in _TOKEN.finditer(text):
        start, length = text[found.start()], found.end() - found.start()
        if start in "[{":
            depth += 1
            values += 1
        elif start in "]}":
            depth -= 1
        elif start == ",":
            values += 1
        elif start == '"' and length > MAX_STRING:
            return _TOO_LONG
        elif start != '"' and length > MAX_NUMBER:
            return _BIG_NUMBER
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        if values > most:
            return _TOO_MANY
    return ""


def problem_of_shape(data: Any) -> str:
    """Return why data from JSON or YAML is too large for one VM, empty if it is not."""
    return _problem(data, _problem_of_length)


def problem_of_data(data: Any) -> str:
    """Return why data is too large for one VM or has values that no option takes, empty if it is fine."""
    return _problem(data, _problem_of_value)


def _problem(data: Any, problem_of: Callable[[Any], str]) -> str:
    # Counted one by one: with aliases, YAML of a few lines has more values than fit into memory.
    values, level = 0, [data]
    for _depth in range(MAX_DEPTH + 1):
        values += len(level)
        if values > MAX_VALUES:
            return _TOO_MANY
        problem = next(filter(None, map(problem_of, level)), "")
        if problem:
            return problem
        level = list(islice(_inner(level), MAX_VALUES + 1))
    return _TOO_DEEP if level else ""


def _inner(level: Iterable[Any]) -> Iterator[Any]:
    for value in level:
        if isinstance(value, _SCALARS):
            # Checking whether they are mappings takes most of the time.
            continue
        if isinstance(value, Mapping):
            yield from value
            yield from value.values()
        elif isinstance(value, (list, tuple)):
            yield from value


def _problem_of_length(value: Any) -> str:
    return _TOO_LONG if isinstance(value, str) and len(value) > MAX_STRING else ""


def _problem_of_value(value: Any) -> str:
    if isinstance(value, str):
        return _problem_of_length(value) or ("" if is_unicode(value) else UNPAIRED_SURROGATE)
    if isinstance(value, float) and not math.isfinite(value):
        return "has a number that is not finite"
    if isinstance(value, int) and value.bit_length() > MAX_NUMBER_BITS:
        return "has a number of %d bits" % value.bit_length()
    return ""


def convertible(arguments: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return arguments that Ansible can convert to whole numbers without failing at infinity.

    An infinite number, or one whose exponent could exhaust memory, becomes a text that Ansible rejects.
    """
    return {
        name: "not a whole number: %s" % value
        if spec.get(name, {}).get("type") == "int" and _INFINITE.search(str(value))
        else value
        for name, value in arguments.items()
    }


def is_unicode(text: str) -> bool:
    """Return whether a text can be encoded: JSON escapes can also produce unpaired surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def first(texts: Iterable[str], most: int = MAX_PROBLEMS) -> list[str]:
    """Return the first C(most) texts, and how many more there are."""
    texts = list(texts)
    more = len(texts) - most
    return texts if more <= 0 else [*texts[:most], "and %d more" % more]
