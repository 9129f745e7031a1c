# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the executors of actions work with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

from .._errors.errors import VmError
from .._host.system import System
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import ObservedVm
from .._spec.vm import Vm

_POLL_SECONDS = 0.1

Answer = TypeVar("Answer")
Undo = Callable[[], None]


@dataclass
class Context:
    """One VM that is worked on, and what has been done to it so far. C(state): the last that was seen, if any was."""

    hypervisor: Hypervisor
    system: System
    vm: Vm
    observed: ObservedVm
    cancelled: threading.Event
    done: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    backup_file: Optional[str] = None
    state: str = ""
    live_change_refused: bool = False

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether C(condition) came true within C(seconds); raises C(interrupted) when the task is asked to stop."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.cancelled.is_set():
                raise VmError("interrupted", "the task was asked to stop")
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def retried(self, call: Callable[[], Answer]) -> Answer:
        """What a call of libvirt returns; when libvirtd is restarted meanwhile it is waited for and called again."""
        try:
            return call()
        except VmError as error:
            if not error.lost_libvirt:
                raise
            self.hypervisor.reconnect()
            return call()

    def look(self) -> tuple[str, str]:
        """The state that the VM is in now, and libvirt's reason for it."""
        state = self.retried(self._ask_state)
        self.state = state[0]
        return state

    def _ask_state(self) -> tuple[str, str]:
        try:
            return self.hypervisor.state(self.vm.uuid)
        except VmError as error:
            if error.code != "domain_gone":
                raise
            return "absent", "unknown"


@contextmanager
def undone_if_lost(undo: Undo) -> Iterator[None]:
    """Nobody knows whether that was done during which libvirt was lost: it is undone too."""
    try:
        yield
    except VmError as error:
        if error.lost_libvirt:
            error.undo = undo
        raise


# Does what an action says, and returns what undoes it; None where nothing is to be undone.
Executor = Callable[[Context, Mapping[str, Any]], Optional[Undo]]
