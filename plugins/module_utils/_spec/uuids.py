# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are named by their UUIDs. What people call a VM names several as often as not."""

from __future__ import annotations

from collections.abc import Sequence

from .._errors.errors import Problem
from . import values


def parse_uuids(raw: Sequence[str], option: str) -> tuple[list[str], list[Problem]]:
    """The UUIDs with dashes, in the order of C(raw), the value of an option, and all that is wrong with it."""
    uuids: list[str] = []
    problems = []
    for index, text in enumerate(raw):
        option_path = "%s[%d]" % (option, index)
        try:
            uuid = values.uuid(text)
        except ValueError as error:
            problems.append(Problem(option_path, "%r %s" % (text, error)))
            continue
        if uuid in uuids:
            problems.append(Problem(option_path, "%s is there twice" % text))
        uuids.append(uuid)
    return uuids, problems
