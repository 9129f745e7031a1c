# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do several things at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .process import interrupted

# One more than there are CPUs, because tests wait at times.
AT_ONCE = (os.cpu_count() or 1) + 1
Item = TypeVar("Item")
Done = TypeVar("Done")


def side_by_side(work: Callable[[Item], Done], items: Sequence[Item]) -> list[Done]:
    """Return the result of the work for each item, in their order. An interruption ends the commands of all."""
    with ThreadPoolExecutor(min(len(items), AT_ONCE)) as threads:
        try:
            return list(threads.map(work, items))
        except BaseException:
            interrupted.set()
            raise
