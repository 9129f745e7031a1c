# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the option C(volumes) of a playbook into volumes without a VM, or into all problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._errors.errors import Problem
from .._storage.backends import check
from .arguments import VOLUME_ARGUMENT_SPEC
from .defaults import fill_in_creation
from .disk_checks import VOLUME_CHECKS
from .input_bounds import problem_of_shape
from .option_reader import OptionReader, Part
from .parse import volume_of
from .vm import Volume
from .volume_creation import creation_problems


def parse_volumes(raw: Any) -> tuple[tuple[Volume, ...], list[Problem]]:
    """Return the volumes that C(raw), the value of the option C(volumes), describes, in order, and all problems.

    With any problem no volumes are returned. Accepts any value, never raises.
    """
    if not isinstance(raw, list):
        return (), [Problem("volumes", "must be a list of volumes", hint="put a single volume into a list, too")]
    reader = OptionReader(VOLUME_CHECKS)
    parts = []
    for index, item in enumerate(raw):
        option_path = "volumes[%d]" % index
        problem = problem_of_shape(item)
        if problem:
            reader.problems.append(Problem(option_path, problem))
            continue
        part = reader.read(item, VOLUME_ARGUMENT_SPEC, option_path, index=index)
        if part is not None:
            fill_in_creation(part)
            reader.problems.extend(creation_problems(part))
            parts.append(part)
    reader.problems.extend(_twice(parts))
    volumes = [volume_of(part) for part in parts if not part.wrong]
    reader.problems.extend(problem for volume in volumes for problem in check(volume))
    return ((), reader.problems) if reader.problems else (tuple(volumes), [])


def _twice(parts: list[Part]) -> Iterator[Problem]:
    first: dict[str, Part] = {}
    for part in parts:
        path = part.get("install_path")
        other = first.setdefault(path, part) if path else part
        if other is not part:
            message = "is the same as %s.install_path" % other.option_path
            yield Problem("%s.install_path" % part.option_path, message, hint="name each volume once")
