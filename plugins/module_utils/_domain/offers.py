# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of a host that lacks what a VM requires."""

from __future__ import annotations

from typing import Optional

from .._errors.errors import Problem
from .context import BuildContext


def not_offered(context: BuildContext, option: str, value: str, offered: Optional[tuple[str, ...]]) -> Problem:
    """Return the problem of an option whose value is not among those that the host offers."""
    return Problem(
        context.option_path(option),
        "the host does not offer %s (it has: %s)" % (value, ", ".join(offered or ()) or "none"),
        "unsupported_device",
    )
