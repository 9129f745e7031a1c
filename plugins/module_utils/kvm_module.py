# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of all modules: no argument causes a traceback, and misspelt ones show no secret."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._spec.input_bounds import UNPAIRED_SURROGATE, convertible, is_unicode
from .foreign_text import clean, clean_all

MASK = "********"


class KvmModule(AnsibleModule):
    """A module whose result has no secret argument and no terminal control characters."""

    params: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refuse_texts()

    def _log_invocation(self) -> None:
        self._refuse_texts()  # which cannot be logged either
        super()._log_invocation()

    def _refuse_texts(self) -> None:
        problems = ["%s: %s" % found for found in self._problems_of_texts()]
        if problems:
            self.fail_json("in the input:\n%s" % "\n".join(problems))

    def _problems_of_texts(self) -> Iterator[tuple[str, str]]:
        """Yield the options whose text neither libvirt nor the operating system can be given, and why."""
        for name, value in self.params.items():
            texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
            if not all(map(is_unicode, texts)):
                yield name, UNPAIRED_SURROGATE
            elif any("\0" in text for text in texts):
                yield name, "contains a null character"

    def _load_params(self) -> None:
        super()._load_params()
        self.params = convertible(self.params, self.argument_spec)

    def exit_json(self, **kwargs: Any) -> None:
        """End the module with success."""
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
