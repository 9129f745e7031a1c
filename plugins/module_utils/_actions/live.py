# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of on_drift live: changes of the QEMU that runs, as C(_drift.live_changes) plans them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .._host.network import connect_port
from .action import Action
from .context import Context, Executor, Undo, undone_if_lost

# A guest that takes part lets go of a device within a second or two.
_UNPLUG_SECONDS = 15
# What says nothing about the thing itself, only that it can't be changed now. Anything else would fail at the
# next boot as well.
_REFUSALS = frozenset({"libvirt_error", "unsupported_device", "vm_busy", "command_failed", "command_missing"})
_ENDED = ("shutoff", "crashed", "absent")

Change = Callable[[Context, Mapping[str, Any]], None]


class LiveChangeRefused(VmError):
    """libvirt, QEMU or the guest does not make a change while the VM runs. The definition has it all the same."""


def _update_device(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.update_device(context.vm.uuid, detail["xml"])


def _attach_device(context: Context, detail: Mapping[str, Any]) -> None:
    """Plugs a device in, where the definition has it, so that the next boot moves nothing."""
    device = etree.fromstring(detail["xml"])
    placed = None if device.find("address") is not None else _as_defined(context, device, detail["path"])
    if placed is not None:
        try:
            context.hypervisor.attach_device(context.vm.uuid, placed)
            return
        except VmError as error:
            if error.code not in _REFUSALS:
                raise
            # The place may be taken by something that the definition doesn't have any more.
    context.hypervisor.attach_device(context.vm.uuid, detail["xml"])


def _as_defined(context: Context, device: etree._Element, path: str) -> Optional[str]:
    address = _find(context, path + "/address", inactive=True)
    if address is None:
        return None
    device.append(address)
    return etree.tostring(device, encoding="unicode")


def _detach_device(context: Context, detail: Mapping[str, Any]) -> None:
    """Takes a device out, once the guest lets go of it."""
    context.hypervisor.detach_device(context.vm.uuid, detail["xml"])
    if not context.wait_for(lambda: _find(context, detail["path"], inactive=False) is None, _UNPLUG_SECONDS):
        message = "the guest has not let go of %s for %d seconds" % (detail["label"], _UNPLUG_SECONDS)
        raise VmError("vm_busy", message)


def _find(context: Context, path: str, inactive: bool) -> Optional[etree._Element]:
    return etree.fromstring(context.hypervisor.xml(context.vm.uuid, inactive=inactive)).find(path)


def _reconnect_nic(context: Context, detail: Mapping[str, Any]) -> None:
    """Puts a NIC back into its bridge, which is the hypervisor's affair: libvirt believes that it is there."""
    nic = etree.fromstring(detail["xml"])
    # It is planned only where the hypervisor's devices can be seen.
    assert not context.system.is_remote
    connect_port(context.system, nic, context.vm.uuid, detail["device"], detail["bridge"])


def _attach_memory(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.attach_device(context.vm.uuid, detail["xml"])


def _detach_memory(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.detach_device(context.vm.uuid, detail["xml"])


def _set_volume_qos(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.set_block_io_tune(context.vm.uuid, detail["target"], detail["limits"])


def _set_balloon_period(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.set_memory_stats_period(context.vm.uuid, detail["seconds"])


def _set_vcpus(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.set_vcpus(context.vm.uuid, detail["count"])


def _set_cpu_shares(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.set_scheduler(context.vm.uuid, {"cpu_shares": detail["shares"]})


def _set_description(context: Context, detail: Mapping[str, Any]) -> None:
    context.hypervisor.set_description(context.vm.uuid, detail["text"])


_CHANGES: Mapping[str, Change] = {
    "detach_volume": _detach_device,
    "attach_volume": _attach_device,
    "detach_nic": _detach_device,
    "attach_nic": _attach_device,
    "reconnect_nic": _reconnect_nic,
    "update_nic": _update_device,
    "change_media": _update_device,
    "set_console_password": _update_device,
    "set_volume_qos": _set_volume_qos,
    "set_balloon_period": _set_balloon_period,
    "set_cpu_shares": _set_cpu_shares,
    "set_description": _set_description,
    "set_vcpus": _set_vcpus,
    "attach_memory": _attach_memory,
    "detach_memory": _detach_memory,
}


def _executor(change: Change) -> Executor:
    """Makes a change; undone by the action that C(undo) in the detail holds."""

    def execute(context: Context, detail: Mapping[str, Any]) -> Optional[Undo]:
        undo: Action = detail["undo"]
        with undone_if_lost(lambda: _take_back_if_done(context, undo)):
            try:
                change(context, detail)
            except VmError as error:
                if error.code not in _REFUSALS:
                    raise
                _expect_alive(context)
                raise LiveChangeRefused(error.code, error.message) from error
            _expect_alive(context)
        return lambda: _take_back(context, undo)

    return execute


def _take_back(context: Context, undo: Action) -> None:
    _CHANGES[undo.name](context, undo.detail)


def _take_back_if_done(context: Context, undo: Action) -> None:
    """Of what is plugged in or out it can be seen; the rest is set to what it was in any case."""
    path = undo.detail.get("path")
    if path is not None:
        is_plugged_in = _find(context, path, inactive=False) is not None
        if is_plugged_in != undo.name.startswith("detach_"):
            return
    _take_back(context, undo)


def _expect_alive(context: Context) -> None:
    """Without QEMU a device is gone too, and nothing can be changed: neither is what it looks like."""
    state, reason = context.look()
    if state in _ENDED:
        raise VmError("vm_ended", "the VM ended while it was changed: it is %s (%s)" % (state, reason))


EXECUTORS: Mapping[str, Executor] = {name: _executor(change) for name, change in _CHANGES.items()}
