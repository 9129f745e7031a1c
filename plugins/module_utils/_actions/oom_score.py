# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OOM score of a VM's QEMU in the hypervisor's kernel, which libvirt's definitions don't have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from .._errors.errors import VmError
from .._host.system import System
from .._spec.vm import Vm
from .live import LiveChange

if TYPE_CHECKING:
    from .context import ActionContext

_RUN_DIRECTORY = "/run/libvirt/qemu"


@dataclass(frozen=True, repr=False)
class SetOomScore(LiveChange):
    """Set the score of a running VM."""

    name = "set_oom_score"
    score: int
    before: int

    def change(self, context: ActionContext) -> None:
        set_oom_score(context.vm, context.system, self.score)

    def undo(self, context: ActionContext) -> None:
        set_oom_score(context.vm, context.system, self.before)


def oom_score(vm: Vm, system: System) -> Optional[int]:
    """Return the score of a VM's QEMU, None if it is unknown."""
    pid = _qemu_of(vm, system)
    if pid is None or system.is_remote:
        return None
    return system.processes.oom_score(pid)


def set_oom_score(vm: Vm, system: System, score: int) -> None:
    """Set the score of a VM's QEMU. Raise C(command_failed) if that isn't possible."""
    pid = _qemu_of(vm, system)
    if pid is None or system.is_remote:
        where = "through a remote URI" if system.is_remote else "because its QEMU was not found"
        raise VmError("command_failed", "the OOM score of the VM cannot be set %s" % where)
    system.processes.set_oom_score(pid, score)


def _qemu_of(vm: Vm, system: System) -> Optional[int]:
    if system.is_remote:
        return None
    name = vm.domain_name
    return system.processes.running("%s/%s.pid" % (_RUN_DIRECTORY, name), "guest=%s," % name)
