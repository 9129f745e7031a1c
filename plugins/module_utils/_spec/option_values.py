# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One value of an option: Ansible's conversion to its type, and messages for what cannot be converted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.validation import check_type_bits, check_type_bytes

from .input_bounds import MAX_NUMBER_BITS

Option = Mapping[str, Any]

_PYTHON_TYPES = {"str": str, "int": int, "bytes": int, "bits": int, "bool": bool}
_DESCRIPTIONS = {
    "int": "a whole number",
    "bytes": "a number of bytes or a size such as 2GiB",
    "bits": "a number of bits or a rate such as 100Mb",
    "bool": "true or false",
    "str": "text",
}
_SIZES = {"bytes": check_type_bytes, "bits": check_type_bits}
# No real value is longer, and a large exponent could exhaust memory.
_NUMBER_TEXT = re.compile(r"\s*[+-]?[0-9.]{1,30}\s*([A-Za-z]{1,9})?\s*")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_BINARY_UNIT = re.compile(r"(?<=[0-9 ][KMGTPEkmgtpe])i")
# More digits than any option takes; from 4,300 on Python refuses to convert them.
_DECIMAL = re.compile(r"-?[0-9]{1,40}")
_SHOWN = 60


def whole_number(text: str) -> Optional[int]:
    """Return the number of a decimal text, None for any other text, among them digits of other scripts."""
    return int(text) if _DECIMAL.fullmatch(text) else None


def convert(value: Any, option: Option) -> Any:
    """Return a value converted to the option's type (not a list) by Ansible's rules. Raises C(ValueError).

    Unlike Ansible, accept binary units (2GiB) and hexadecimal numbers (0x1f), and do not convert what only looks like
    a value (true as a number or as text, numbers as text, infinity, containers as text).
    """
    if _is_converted(value, option):
        return value
    if option["type"] == "int" and isinstance(value, str) and _HEXADECIMAL.fullmatch(value):
        return int(value, 16)
    if not _may_become(value, option):
        raise ValueError
    if option["type"] in ("bytes", "bits") and isinstance(value, str):
        value = _BINARY_UNIT.sub("", value.strip())
    convert_size = _SIZES.get(option["type"])
    if convert_size is not None:
        # What the validator calls, in a tenth of its time.
        try:
            return convert_size(value)
        except TypeError as error:
            raise ValueError from error
    result = ArgumentSpecValidator({"value": option}).validate({"value": value})
    if result.error_messages:
        raise ValueError
    return result.validated_parameters["value"]


def _is_converted(value: Any, option: Option) -> bool:
    """Return whether Ansible would leave the value unchanged: true of most, and much faster than converting."""
    return value.__class__ is _PYTHON_TYPES[option["type"]] and ("choices" not in option or value in option["choices"])


def _may_become(value: Any, option: Option) -> bool:
    """Return whether the value may go to Ansible's converters, some of which misread or fail at other types."""
    if isinstance(value, bool):
        return "choices" in option  # YAML's off is false
    if isinstance(value, str):
        return option["type"] not in ("int", "bytes", "bits") or bool(_NUMBER_TEXT.fullmatch(value))
    if option["type"] == "str" and "choices" not in option:
        # The text may have been different: YAML reads 0123 as 83, and 1.10 as 1.1.
        return False
    if isinstance(value, int):
        return value.bit_length() <= MAX_NUMBER_BITS
    return isinstance(value, float) and math.isfinite(value)


def description_of(option: Option) -> str:
    """Return a description of the values that an option accepts."""
    return "one of %s" % ", ".join(option["choices"]) if "choices" in option else _DESCRIPTIONS[option["type"]]


def hint_for(value: Any, option: Option) -> str:
    """Return a hint for a value that could not be converted."""
    if isinstance(value, str) and "choices" in option:
        near = _near(value[: _SHOWN + 1].lower(), option["choices"], 1)
        return "did you mean %s?" % near[0] if near else ""
    if isinstance(value, bool) and option["type"] == "str":
        return "YAML reads yes, no, on and off as true and false: put quotes around the text"
    if isinstance(value, (int, float)) and option["type"] == "str" and "choices" not in option:
        return (
            "YAML reads digits as a number, also with colons between them, and 0123 as 83: put quotes around the text"
        )
    return ""


def hint_for_unknown(key: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown option."""
    near = _near(key, known, 2)
    return "did you mean %s?" % " or ".join(near) if near else "known options: %s" % ", ".join(sorted(known))


def _near(text: str, known: Iterable[str], count: int) -> list[str]:
    if len(text) > _SHOWN:
        return []
    # Imported here because most tasks have no problems.
    import difflib

    return difflib.get_close_matches(text, known, n=count)


def shown(value: Any) -> str:
    """Return a value for a message: short and on one line, or a description of it."""
    if not isinstance(value, (str, int, float)):
        return kind_of(value)
    if isinstance(value, int) and value.bit_length() > MAX_NUMBER_BITS:
        return "a number of %d bits" % value.bit_length()
    text = repr(value[: _SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN + 2 else text[:_SHOWN] + "…"


def shown_name(key: str) -> str:
    """Return an option's name for a path: unchanged unless it would break the message."""
    return key if key.isprintable() and len(key) <= _SHOWN else shown(key)


def kind_of(value: Any) -> str:
    """Return the kind of a value in words, without the value: it may be a secret."""
    if value is None:
        return "nothing"
    for kinds, description in (
        (bool, "true or false"),
        (str, "text"),
        ((int, float), "a number"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
    ):
        if isinstance(value, kinds):
            return description
    return type(value).__name__
