# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of on_drift live: changes of the running QEMU, as C(_drift.live_changes) plans them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .._host.bridges import connect_port
from .action import Action, Outcome, unanswered

if TYPE_CHECKING:
    from .context import ActionContext

# A guest that cooperates releases a device within a second or two.
_UNPLUG_SECONDS = 15
# Errors that only mean that the running VM can't be changed now. Any other would recur at the next boot. libvirt has
# accepted the definition before, so that invalid_domain is about what runs: an address or target that is in use.
_REFUSALS = frozenset(
    {"libvirt_error", "unsupported_device", "invalid_domain", "vm_busy", "command_failed", "command_missing"}
)
_ENDED = ("shutoff", "crashed", "absent")


@dataclass(frozen=True, repr=False)
class LiveChange(Action):
    """A change of a running VM. If libvirt, QEMU or the guest refuses it, the definition has it nevertheless."""

    def change(self, context: ActionContext) -> None:
        """Make the change."""
        raise NotImplementedError

    def undo(self, context: ActionContext) -> None:
        """Revert the change."""
        raise NotImplementedError

    def is_done(self, context: ActionContext) -> bool:
        """Return whether the change was made; if that can't be determined, return true, so that it is reverted."""
        return True

    def do(self, context: ActionContext) -> Outcome:
        try:
            outcome = unanswered(lambda: self.change(context), lambda: self.undo(context))
        except VmError as error:
            if error.code not in _REFUSALS:
                raise
            return self._unless_ended(context, Outcome(failure=error, is_refused=True))
        if outcome.failure is not None:
            return Outcome(lambda: self._undo_if_done(context), failure=outcome.failure)
        return self._unless_ended(context, outcome)

    def _unless_ended(self, context: ActionContext, outcome: Outcome) -> Outcome:
        try:
            _expect_alive(context)
        except VmError as error:
            if not error.lost_libvirt:
                raise
            return Outcome(lambda: self._undo_if_done(context), failure=error)
        return outcome

    def _undo_if_done(self, context: ActionContext) -> None:
        if self.is_done(context):
            self.undo(context)


@dataclass(frozen=True, repr=False)
class UpdateDevice(LiveChange):
    """Change a device to C(xml); C(before) is what it was."""

    xml: str
    before: str

    def change(self, context: ActionContext) -> None:
        context.hypervisor.update_device(context.vm.uuid, self.xml)

    def undo(self, context: ActionContext) -> None:
        context.hypervisor.update_device(context.vm.uuid, self.before)


@dataclass(frozen=True, repr=False)
class UpdateNic(UpdateDevice):
    """Change a NIC: its bridge, limits, filter or link."""

    name = "update_nic"
    needs_preparation = True


@dataclass(frozen=True, repr=False)
class ChangeMedia(UpdateDevice):
    """Change the CD in a drive."""

    name = "change_media"
    needs_preparation = True


@dataclass(frozen=True, repr=False)
class ReconnectNic(LiveChange):
    """Reconnect a NIC to its bridge. libvirt is not involved: it still believes that the NIC is connected."""

    name = "reconnect_nic"
    needs_preparation = True
    xml: str
    device: str
    bridge: str
    before: str

    def change(self, context: ActionContext) -> None:
        self._connect(context, self.bridge)

    def undo(self, context: ActionContext) -> None:
        self._connect(context, self.before)

    def _connect(self, context: ActionContext, bridge: str) -> None:
        # Planned only if the hypervisor's devices can be inspected.
        if context.system.is_remote:
            raise AssertionError("a port of a remote hypervisor is never planned to be connected")
        connect_port(context.system, etree.fromstring(self.xml), context.vm.uuid, self.device, bridge)


@dataclass(frozen=True, repr=False)
class SetConsolePassword(UpdateDevice):
    """Change the password of the graphical console."""

    name = "set_console_password"


@dataclass(frozen=True, repr=False)
class PluggedDevice(LiveChange):
    """Plug a device in or unplug it. C(path) finds it in the domain, C(label) names it in messages."""

    xml: str
    path: str
    label: str

    def _is_plugged_in(self, context: ActionContext) -> bool:
        return _find(context, self.path, inactive=False) is not None

    def _attach(self, context: ActionContext) -> None:
        """Attach the device at the address in the definition, so that the next boot moves nothing."""
        device = etree.fromstring(self.xml)
        placed = None if device.find("address") is not None else self._as_defined(context, device)
        if placed is not None:
            try:
                context.hypervisor.attach_device(context.vm.uuid, placed)
                return
            except VmError as error:
                if error.code not in _REFUSALS:
                    raise
                # A device that is no longer in the definition may still have the address.
        context.hypervisor.attach_device(context.vm.uuid, self.xml)

    def _as_defined(self, context: ActionContext, device: etree._Element) -> Optional[str]:
        address = _find(context, self.path + "/address", inactive=True)
        if address is None:
            return None
        device.append(address)
        return etree.tostring(device, encoding="unicode")

    def _detach(self, context: ActionContext) -> None:
        """Detach the device, and wait until the guest has released it."""
        context.hypervisor.detach_device(context.vm.uuid, self.xml)
        try:
            is_released = context.wait_for(lambda: not self._is_plugged_in(context), _UNPLUG_SECONDS)
        except VmError as error:
            # QEMU can't withdraw the request.
            message = "%s; the guest was asked to release %s, and may still do so" % (error.message, self.label)
            raise error.replaced(message=message) from error
        if not is_released:
            message = "the guest has not released %s within %d seconds" % (self.label, _UNPLUG_SECONDS)
            raise VmError("vm_busy", message)


@dataclass(frozen=True, repr=False)
class AttachDevice(PluggedDevice):
    """Plug a device in. C(replaced) finds the device that must be gone first, empty if there is none."""

    replaced: str = ""

    def change(self, context: ActionContext) -> None:
        if self.replaced and _find(context, self.replaced, inactive=False) is not None:
            raise VmError("vm_busy", "%s is not plugged in while the one that it replaces is" % self.label)
        self._attach(context)

    def undo(self, context: ActionContext) -> None:
        self._detach(context)

    def is_done(self, context: ActionContext) -> bool:
        return self._is_plugged_in(context)


@dataclass(frozen=True, repr=False)
class DetachDevice(PluggedDevice):
    """Unplug a device."""

    def change(self, context: ActionContext) -> None:
        self._detach(context)

    def undo(self, context: ActionContext) -> None:
        self._attach(context)

    def is_done(self, context: ActionContext) -> bool:
        return not self._is_plugged_in(context)


@dataclass(frozen=True, repr=False)
class AttachVolume(AttachDevice):
    """Plug a volume in."""

    name = "attach_volume"
    needs_preparation = True


@dataclass(frozen=True, repr=False)
class DetachVolume(DetachDevice):
    """Unplug a volume."""

    name = "detach_volume"


@dataclass(frozen=True, repr=False)
class AttachNic(AttachDevice):
    """Plug a NIC in."""

    name = "attach_nic"
    needs_preparation = True


@dataclass(frozen=True, repr=False)
class DetachNic(DetachDevice):
    """Unplug a NIC."""

    name = "detach_nic"


@dataclass(frozen=True, repr=False)
class AttachMemory(LiveChange):
    """Plug memory in. It can't be unplugged while the guest uses it."""

    name = "attach_memory"
    xml: str

    def change(self, context: ActionContext) -> None:
        context.hypervisor.attach_device(context.vm.uuid, self.xml)

    def undo(self, context: ActionContext) -> None:
        context.hypervisor.detach_device(context.vm.uuid, self.xml)


@dataclass(frozen=True, repr=False)
class SetVolumeQos(LiveChange):
    """Set the limits of a disk: bytes and requests per second, 0 for none."""

    name = "set_volume_qos"
    target: str
    limits: Mapping[str, int]
    before: Mapping[str, int]

    def change(self, context: ActionContext) -> None:
        context.hypervisor.set_block_io_tune(context.vm.uuid, self.target, self.limits)

    def undo(self, context: ActionContext) -> None:
        context.hypervisor.set_block_io_tune(context.vm.uuid, self.target, self.before)


@dataclass(frozen=True, repr=False)
class SetBalloonPeriod(LiveChange):
    """Set how often libvirt reads the guest's memory statistics, in seconds."""

    name = "set_balloon_period"
    seconds: int
    before: int

    def change(self, context: ActionContext) -> None:
        context.hypervisor.set_memory_stats_period(context.vm.uuid, self.seconds)

    def undo(self, context: ActionContext) -> None:
        context.hypervisor.set_memory_stats_period(context.vm.uuid, self.before)


@dataclass(frozen=True, repr=False)
class SetVcpus(LiveChange):
    """Set the number of the guest's CPUs."""

    name = "set_vcpus"
    count: int
    before: int

    def change(self, context: ActionContext) -> None:
        context.hypervisor.set_vcpus(context.vm.uuid, self.count)

    def undo(self, context: ActionContext) -> None:
        context.hypervisor.set_vcpus(context.vm.uuid, self.before)


@dataclass(frozen=True, repr=False)
class SetCpuShares(LiveChange):
    """Set the share of CPU time."""

    name = "set_cpu_shares"
    shares: int
    before: int

    def change(self, context: ActionContext) -> None:
        context.hypervisor.set_scheduler(context.vm.uuid, {"cpu_shares": self.shares})

    def undo(self, context: ActionContext) -> None:
        context.hypervisor.set_scheduler(context.vm.uuid, {"cpu_shares": self.before})


@dataclass(frozen=True, repr=False)
class SetCpuQuota(LiveChange):
    """Set the CPU time of each CPU, in microseconds per period; a quota of -1 is no limit."""

    name = "set_cpu_quota"
    limit: tuple[int, int]
    before: tuple[int, int]

    def change(self, context: ActionContext) -> None:
        self._set(context, self.limit)

    def undo(self, context: ActionContext) -> None:
        self._set(context, self.before)

    def _set(self, context: ActionContext, limit: tuple[int, int]) -> None:
        period, quota = limit
        context.hypervisor.set_scheduler(context.vm.uuid, {"vcpu_period": period, "vcpu_quota": quota})


@dataclass(frozen=True, repr=False)
class PinThread(LiveChange):
    """Let a thread run on some of the hypervisor's CPUs. C(before) is empty for all of them."""

    name = "pin_thread"
    thread: str
    number: int
    cpus: frozenset[int]
    before: frozenset[int]

    def change(self, context: ActionContext) -> None:
        context.hypervisor.pin(context.vm.uuid, self.thread, self.number, self.cpus)

    def undo(self, context: ActionContext) -> None:
        cpus = self.before or frozenset(range(context.hypervisor.cpu_count()))
        context.hypervisor.pin(context.vm.uuid, self.thread, self.number, cpus)


@dataclass(frozen=True, repr=False)
class SetDescription(LiveChange):
    """Set the description of the running VM, which libvirt keeps beside the one in the definition."""

    name = "set_description"
    text: Optional[str]
    before: Optional[str]

    def change(self, context: ActionContext) -> None:
        context.hypervisor.set_description(context.vm.uuid, self.text)

    def undo(self, context: ActionContext) -> None:
        context.hypervisor.set_description(context.vm.uuid, self.before)


def _find(context: ActionContext, path: str, inactive: bool) -> Optional[etree._Element]:
    return etree.fromstring(context.hypervisor.xml(context.vm.uuid, inactive=inactive)).find(path)


def _expect_alive(context: ActionContext) -> None:
    """Raise C(vm_ended) if QEMU is gone: its devices are gone too, and nothing can be changed."""
    state, reason = context.look()
    if state in _ENDED:
        raise VmError("vm_ended", "the VM ended while it was being changed: it is %s (%s)" % (state, reason))
