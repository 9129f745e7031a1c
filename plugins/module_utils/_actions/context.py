# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The context in which actions run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional, TypeVar

from .._errors.errors import VmError
from .._host.system import System
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import ObservedVm
from .._libvirt.power_off import OFF, current_state
from .._spec.vm import Vm
from ..waiting import POLL_SECONDS, wait_until

Answer = TypeVar("Answer")


@dataclass
class ActionContext:
    """A VM that is being changed, and what has been done to it so far. C(state): as last read, empty before that."""

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
    asked_to_shut_down: bool = False

    def wait_for(self, condition: Callable[[], bool], seconds: float, pause: float = POLL_SECONDS) -> bool:
        """Return whether C(condition), checked every C(pause) seconds, came true in time.

        Raise C(interrupted) when the task is interrupted.
        """
        return wait_until(condition, seconds, self.cancelled, pause)

    def retried(self, call: Callable[[], Answer]) -> Answer:
        """Return the result of a libvirt call; if libvirtd is restarted during it, reconnect and call again."""
        try:
            return call()
        except VmError as error:
            if not error.lost_libvirt:
                raise
            self.hypervisor.reconnect()
            return call()

    def is_off(self) -> bool:
        """Return whether the VM has no QEMU now."""
        return self.look()[0] in OFF

    def look(self) -> tuple[str, str]:
        """Read the VM's current state and libvirt's reason for it."""
        state = self.retried(lambda: current_state(self.hypervisor, self.vm.uuid))
        self.state = state[0]
        return state
