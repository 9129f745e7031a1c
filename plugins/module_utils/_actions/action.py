# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of a plan, as data. The executors that do and undo it are found by its name (see C(apply))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Action:
    """What is to be done; C(name) is shown in the result, C(detail) is for the executor alone and may hold secrets.

    C(shared) names what several VMs may need and the first of them makes: a secret, a folder.
    """

    name: str
    detail: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shared: str = ""


class AlreadyDone(Exception):
    """What an action would do is done: another VM that needs it too was quicker."""
