# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules have in common: arguments of any kind end in no traceback, misspelt ones show no secret."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._spec.input_bounds import convertible
from .foreign_text import clean, clean_all

MASK = "********"


class KvmModule(AnsibleModule):
    """A module whose result shows no secret argument, and nothing that a terminal or a log would obey."""

    params: dict[str, Any]

    def _load_params(self) -> None:
        super()._load_params()
        self.params = convertible(self.params, self.argument_spec)

    def exit_json(self, **kwargs: Any) -> None:
        """End the module well."""
        super().exit_json(**self._shown(clean_all(kwargs)))

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        """End the module with a failure."""
        super().fail_json(clean(msg), **self._shown(clean_all(kwargs)))

    def warn(self, warning: str) -> None:
        """Add a warning to the result."""
        super().warn(clean(warning))

    def _shown(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return dict(result, invocation={"module_args": presentable(self._shown_arguments())})

    def _shown_arguments(self) -> dict[str, Any]:
        """Return the arguments, those that the module doesn't know masked: a secret may be in a misspelt one."""
        return {name: value if name in self.argument_spec else MASK for name, value in self.params.items()}


def presentable(value: Any) -> Any:
    """Return a value so that JSON can carry it: no infinite numbers, no halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {presentable(name): presentable(inner) for name, inner in value.items()}
    return [presentable(inner) for inner in value] if isinstance(value, (list, tuple)) else value
