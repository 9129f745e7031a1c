# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that create and grow the volumes of a VM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from .._actions.action import Action, Outcome, RollbackTurn
from .._actions.shared_objects import used_by_another
from .._errors.errors import VmError
from .._spec.vm import Volume, VolumeCreation
from .volume_store import Remove, VolumeStore, Written, lock_name, volume_lock

if TYPE_CHECKING:
    from .._actions.context import ActionContext


@dataclass(frozen=True, repr=False)
class CreateVolume(Action):
    """Create a volume that does not exist. C(text): what domains that use it have in their XML."""

    name = "create_volume"
    rollback_turn = RollbackTurn.SHARED
    volume: Volume
    create: VolumeCreation
    store: VolumeStore
    text: str

    @property
    def shared(self) -> str:
        return lock_name(self.volume)

    def do(self, context: ActionContext) -> Outcome:
        with volume_lock(context.system, self.volume):
            remove = self.store.create(self.volume, self.create, context.cancelled)
        if remove is None:
            return Outcome(is_needless=True)
        return Outcome(lambda: self._undo(context, remove))

    def _undo(self, context: ActionContext, remove: Remove) -> None:
        with volume_lock(context.system, self.volume):
            if used_by_another(context, self.text):
                return
            if not context.is_off() or not remove():
                message = "the volume %s is kept, because a guest may have used it" % self.volume.install_path
                raise VmError("volume_in_use", message)


@dataclass(frozen=True, repr=False)
class GrowVolume(Action):
    """Grow a volume. C(target): the name of its disk in the running VM, None if the VM does not have it open."""

    name = "grow_volume"
    volume: Volume
    written: Written
    size: int
    target: Optional[str]
    store: VolumeStore

    def do(self, context: ActionContext) -> Outcome:
        with volume_lock(context.system, self.volume):
            if self.target is not None and not context.is_off():
                context.hypervisor.resize_block(context.vm.uuid, self.target, self.size)
            else:
                self.store.grow(self.volume, self.written, self.size, context.cancelled)
        return Outcome(self._keep)

    def _keep(self) -> None:
        message = "the volume %s has been grown, and a volume is never shrunk" % self.volume.install_path
        raise VmError("volume_in_use", message)
