# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that stop a VM and remove what only it used. None of them can be undone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .._errors.errors import VmError
from .._host.system import System
from .._host_storage import release
from .._host_storage.iscsi_login import Initiator
from .._libvirt.hypervisor import Hypervisor, Removal
from .._libvirt.power_off import OFF, current_state, force_off, shut_down
from .._start.result import VmResult
from ..waiting import wait_until


@dataclass(frozen=True)
class StopContext:
    """A VM that is being stopped, and its result, which has the state that was read last.

    C(going): the VMs that don't count as users of what it shares, itself among them.
    """

    hypervisor: Hypervisor
    system: System
    going: Sequence[str]
    result: VmResult

    def is_off(self) -> bool:
        """Read the VM's state, and return whether it has no QEMU now."""
        self.result.state = current_state(self.hypervisor, self.result.uuid)[0]
        return self.was_off()

    def was_off(self) -> bool:
        """Return whether the VM had no QEMU when its state was last read."""
        return self.result.state in OFF


class StopAction:
    """A step that stops a VM. Subclasses are frozen dataclasses."""

    name: ClassVar[str]

    def do(self, context: StopContext) -> None:
        """Execute the action. Raise VmError if it fails."""
        raise NotImplementedError


@dataclass(frozen=True)
class WaitForShutdown(StopAction):
    """Wait for a VM that is already shutting down. That it still runs after C(seconds) is no failure."""

    name = "wait_until_off"
    seconds: int
    cancelled: threading.Event

    def do(self, context: StopContext) -> None:
        wait_until(context.is_off, self.seconds, self.cancelled)


@dataclass(frozen=True)
class ShutDown(StopAction):
    """Have the guest shut down. That it still runs after C(seconds) is no failure.

    C(or_force_off): the VM is forced off then, so that it is no failure either if the guest can't shut down.
    """

    name = "shutdown"
    seconds: int
    cancelled: threading.Event
    or_force_off: bool

    def do(self, context: StopContext) -> None:
        if context.is_off():
            return
        try:
            shut_down(context.hypervisor, context.result.uuid, context.is_off, self.seconds, self.cancelled)
        except VmError as error:
            # A guest that received no request, because the task waits for others, is not forced off for that.
            if error.code == "interrupted":
                raise error.replaced(message="%s while the guest was shutting down" % error.message) from error
            if error.lost_libvirt or error.code == "vm_busy" or not self.or_force_off:
                raise


@dataclass(frozen=True)
class ForceOff(StopAction):
    """Force the VM off."""

    name = "destroy"

    def do(self, context: StopContext) -> None:
        force_off(context.hypervisor, context.result.uuid, context.is_off)


@dataclass(frozen=True)
class Undefine(StopAction):
    """Remove the VM's definition, and what C(removal) names with it."""

    name = "undefine"
    removal: Removal

    def do(self, context: StopContext) -> None:
        # libvirt refuses to remove what was created since the check and may not be removed.
        context.hypervisor.undefine(context.result.uuid, self.removal)


@dataclass(frozen=True)
class RemoveChannelSocket(StopAction):
    """Remove a socket that QEMU left."""

    name = "remove_channel_socket"
    path: str

    def do(self, context: StopContext) -> None:
        context.system.files.remove_socket(self.path)


@dataclass(frozen=True)
class RemoveSeed(StopAction):
    """Remove a cloud-init seed, which may hold secrets."""

    name = "remove_cloud_init_seed"
    path: str

    def do(self, context: StopContext) -> None:
        context.system.files.remove_file(self.path)


@dataclass(frozen=True)
class LogOutOfIscsiTarget(StopAction):
    """Close a session of the hypervisor's initiator, unless another VM now needs it."""

    name = "log_out_of_iscsi_target"
    session: Initiator

    def do(self, context: StopContext) -> None:
        release.close_session(self.session, context.going, context.hypervisor)


@dataclass(frozen=True)
class RemoveSecret(StopAction):
    """Remove a secret by its UUID, unless another VM now needs it."""

    name = "remove_secret"
    uuid: str

    def do(self, context: StopContext) -> None:
        release.remove_secret(self.uuid, context.going, context.hypervisor, context.system)
