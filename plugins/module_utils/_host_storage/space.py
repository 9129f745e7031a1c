# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The space that the volumes of a task need, file system by file system."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from .._host.system import HostSystem


class Space:
    """The space that is free when the task begins, less what its volumes will need."""

    def __init__(self, system: HostSystem) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._free: dict[int, int] = {}
        self._reserved: set[str] = set()

    def reserve(self, path: str, directory: str, size: int) -> Optional[int]:
        """Reserve bytes for a new file, once. Return how many are left for it if they are too few, else None."""
        file_system, free = self._system.files.free_space(directory)
        with self._lock:
            left = self._free.setdefault(file_system, free)
            if path in self._reserved:
                return None
            if size > left:
                return max(left, 0)
            self._reserved.add(path)
            self._free[file_system] = left - size
        return None
