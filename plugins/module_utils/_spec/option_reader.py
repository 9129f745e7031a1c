# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads nested options by an argument spec and finds all problems, each with its path.

Ansible's own validation of nested options stops at the first problem, gives no index, and repeats the
value, secret or not. So each value is converted separately, and messages about invalid ones are written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Optional

from ansible.module_utils.common.validation import check_type_dict

from .._errors.errors import Problem
from .input_bounds import MAX_PROBLEMS
from .option_values import Option, convert, description_of, hint_for, hint_for_unknown, kind_of, shown, shown_name

Spec = Mapping[str, Option]
Check = Callable[[Any], Any]


class Part:
    """The values read from one mapping of options; C(index) is its index in its list.

    C(values) has every valid option, given or by default. C(wrong) has the names of invalid options and of
    options that contain invalid ones, and an empty name for any unknown key.
    """

    def __init__(self, option_path: str, index: int) -> None:
        self.option_path = option_path
        self.index = index
        self.values: dict[str, Any] = {}
        self.wrong: set[str] = set()

    def get(self, name: str) -> Any:
        """Return the option's value, None if it is invalid."""
        return self.values.get(name)


class _Prepared(NamedTuple):
    """A spec, the values of its options that are left out, and its required options."""

    spec: Spec
    defaults: Mapping[str, Any]
    required: frozenset[str]


class OptionReader:
    """Reads parts by specs, and collects C(problems).

    C(checks) maps an option's path without indexes (C(nics.mac)) to a check beyond its type. Null counts as an
    omitted option, and so does empty text (an unanswered survey question), except for those in C(may_be_empty).
    """

    def __init__(self, checks: Mapping[str, Check], may_be_empty: Iterable[str] = ()) -> None:
        self._checks = checks
        self._may_be_empty = frozenset(may_be_empty)
        self._specs: dict[int, _Prepared] = {}
        self.problems: list[Problem] = []

    def read(self, raw: Any, spec: Spec, option_path: str, path: str = "", index: int = 0) -> Optional[Part]:
        """Return the part in C(raw), or None if it is not a mapping."""
        mapping = as_mapping(raw)
        if mapping is None:
            self.problems.append(Problem(option_path, "must be a mapping of options, not %s" % kind_of(raw)))
            return None
        part = Part(option_path, index)
        for key in mapping:
            if key not in spec and mapping[key] is not None:
                self._refuse_unknown(part, key, spec)
        prepared = self._prepared(spec)
        part.values.update(prepared.defaults)
        # Most of the many options are left out.
        given = prepared.required.union(mapping)
        for name in [name for name in spec if name in given]:
            part.values.pop(name, None)
            self._read_option(part, name, mapping.get(name), spec[name], "%s.%s" % (path, name) if path else name)
        return part

    def _prepared(self, spec: Spec) -> _Prepared:
        prepared = self._specs.get(id(spec))
        if prepared is None:
            prepared = self._specs[id(spec)] = _Prepared(
                spec,
                {name: option.get("default") for name, option in spec.items() if not option.get("required")},
                frozenset(name for name, option in spec.items() if option.get("required")),
            )
        return prepared

    def _refuse_unknown(self, part: Part, key: Any, spec: Spec) -> None:
        part.wrong.add("")
        if isinstance(key, str):
            option_path = "%s.%s" % (part.option_path, shown_name(key))
            # Suggestions take most of the time here.
            hint = hint_for_unknown(key, spec) if len(self.problems) < MAX_PROBLEMS else ""
            self.problems.append(Problem(option_path, "is not a known option", hint=hint))
        else:
            self.problems.append(Problem(part.option_path, "%s is not an option name" % shown(key)))

    def _read_option(self, part: Part, name: str, raw: Any, option: Option, path: str) -> None:
        required = option.get("required")
        left_out = raw is None or (raw == "" and not required and path not in self._may_be_empty)
        if left_out and required:
            self._wrong(part, name, "is required")
        elif left_out:
            part.values[name] = option.get("default")
        else:
            value = self._read_value(part, name, raw, option, path)
            # The valid values of an invalid part are still compared with the rest.
            if name not in part.wrong or ("options" in option and value is not None):
                part.values[name] = value

    def _read_value(self, part: Part, name: str, raw: Any, option: Option, path: str) -> Any:
        if option["type"] == "raw" or (option["type"] == "dict" and "options" not in option):
            return raw
        if option["type"] == "list":
            return self._read_list(part, name, raw, option, path)
        if option["type"] == "dict":
            return self._read_part(part, name, raw, option, path, 0)
        return self._read_scalar(part, name, raw, option, path)

    def _read_list(self, part: Part, name: str, raw: Any, option: Option, path: str) -> Optional[list[Any]]:
        if isinstance(raw, str) and "options" not in option:
            raw = [item.strip() for item in raw.split(",")] if raw.strip() else []
        if not isinstance(raw, list):
            self._wrong(part, name, "must be a list, not %s" % kind_of(raw))
            return None
        paths = ["%s[%d]" % (name, index) for index in range(len(raw))]
        if "options" in option:
            parts = [self._read_part(part, paths[index], item, option, path, index) for index, item in enumerate(raw)]
            return [inner for inner in parts if inner is not None]
        element = {key: option[key] for key in ("choices", "no_log") if key in option}
        element["type"] = option["elements"]
        return [self._read_scalar(part, paths[index], item, element, path) for index, item in enumerate(raw)]

    def _read_part(self, part: Part, name: str, raw: Any, option: Option, path: str, index: int) -> Optional[Part]:
        inner = self.read(raw, option["options"], "%s.%s" % (part.option_path, name), path, index)
        if inner is None or inner.wrong:
            part.wrong.add(_option(name))
        return inner

    def _read_scalar(self, part: Part, name: str, raw: Any, option: Option, path: str) -> Any:
        try:
            value = convert(raw, option)
        except ValueError:
            value_shown = kind_of(raw) if option.get("no_log") else shown(raw)
            hint = hint_for(raw, option) if len(self.problems) < MAX_PROBLEMS else ""
            self._wrong(part, name, "must be %s, not %s" % (description_of(option), value_shown), hint)
            return None
        if value == "" and option.get("required"):
            self._wrong(part, name, "is empty")
            return None
        check = self._checks.get(path)
        if check is None:
            return value
        try:
            return check(value)
        except ValueError as reason:
            beginning = "" if option.get("no_log") else "%s " % shown(value)
            self._wrong(part, name, "%s%s" % (beginning, reason))
            return None

    def _wrong(self, part: Part, name: str, message: str, hint: str = "") -> None:
        part.wrong.add(_option(name))
        self.problems.append(Problem("%s.%s" % (part.option_path, name), message, hint=hint))


def _option(name: str) -> str:
    """Return the option that the element C(name) belongs to, such as C(boot_dev) for C(boot_dev[1])."""
    return name.partition("[")[0]


def as_mapping(raw: Any) -> Optional[Mapping[Any, Any]]:
    """Return a mapping, also from text that Ansible accepts as one; None if it is not a mapping."""
    if isinstance(raw, str):
        try:
            raw = check_type_dict(raw)
        except (TypeError, ValueError):
            return None
    return raw if isinstance(raw, Mapping) else None
