# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for a hanging QEMU only once, and for no more hanging QEMUs than libvirt has workers for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Optional, TypeVar

from .._errors.errors import VmError
from .hypervisor import SLOW_CALLS_AT_ONCE

Answer = TypeVar("Answer")


class CircuitBreaker:
    """The circuit breaker of one hypervisor's QEMUs. Thread-safe."""

    def __init__(self) -> None:
        self._hung: dict[str, VmError] = {}
        self._lock = threading.Lock()

    def ask(self, uuid: str, question: Callable[[], Answer]) -> Answer:
        """Return or raise what C(question) does. Raise C(qemu_hangs) without calling it if no answer is expected."""
        with self._lock:
            error = self._hung.get(uuid)
            if error is None and len(self._hung) >= SLOW_CALLS_AT_ONCE:
                error = VmError("qemu_hangs", "not queried, because %d other VMs have not answered" % len(self._hung))
        if error is not None:
            raise error
        try:
            return question()
        except VmError as failure:
            if failure.code == "qemu_hangs":
                with self._lock:
                    self._hung[uuid] = failure
            raise

    def lost_with(self, uuid: str) -> Optional[VmError]:
        """Return the error of a VM whose QEMU has not answered."""
        with self._lock:
            return self._hung.get(uuid)
