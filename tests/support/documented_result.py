# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what a module returns with its RETURN documentation."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

# What Ansible documents for every module, or adds itself.
COMMON = {"changed", "deprecations", "diff", "exception", "failed", "invocation", "msg", "warnings"}
TYPES: dict[str, Any] = {"str": str, "int": int, "bool": bool, "float": float, "list": list, "dict": dict}


@cache
def documentation(module: str) -> dict[str, Any]:
    """Return the RETURN documentation of a module of this collection."""
    name = module.removeprefix("zstack.kvm.")
    source = importlib.import_module(f"ansible_collections.zstack.kvm.plugins.modules.{name}")
    return yaml.safe_load(source.RETURN)


def deviations(module: str, result: Mapping[str, Any]) -> list[str]:
    """Return where the result deviates from RETURN: undocumented, missing, or of another type."""
    own = {name: value for name, value in result.items() if name not in COMMON and not name.startswith("_ansible_")}
    documented = documentation(module)
    if result.get("failed"):
        documented = {name: entry for name, entry in documented.items() if name in own or entry["returned"] == "always"}
    return list(_compare(documented, own, ""))


def _compare(documented: Mapping[str, Any], returned: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in sorted(returned.keys() - documented.keys()):
        yield f"{path}{name} is not documented"
    for name, entry in documented.items():
        if name in returned:
            yield from _compare_value(entry, returned[name], f"{path}{name}")
        elif entry.get("returned") in ("always", "success"):
            yield f"{path}{name} is missing"


def _compare_value(entry: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, TYPES[entry["type"]]):
        yield f"{path} is not of type {entry['type']}: {value!r}"
        return
    for item in value if entry["type"] == "list" else [value]:
        if entry["type"] == "list" and not isinstance(item, TYPES[entry["elements"]]):
            yield f"{path} has an element that is not of type {entry['elements']}: {item!r}"
        elif "contains" in entry:
            yield from _compare(entry["contains"], item, f"{path}.")
