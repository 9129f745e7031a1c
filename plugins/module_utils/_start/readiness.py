# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a running VM is ready: its console listens, its guest agent answers, or it has an address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.context import ActionContext
from .._diagnostics.boot_diagnostics import BootWatch
from .._errors.errors import Failure, VmError, VmFailed
from .._libvirt import domain_facts
from .._libvirt.circuit_breaker import CircuitBreaker
from .._libvirt.cloud_init import CloudInitLook
from .._libvirt.guest_addresses import Address, ask_addresses, best_first, is_global, is_in_use
from ..waiting import POLL_SECONDS
from .console_address import WILDCARDS

CONSOLE_SECONDS = 30
_AGENT_SECONDS = 1
# Each check queries libvirt three times, and the guest.
_ADDRESS_PAUSE = 1.0
_AGENT_PAUSE = 1.0
_SHOWN_ADDRESSES = 5
_AGENT_CHANNEL = 'devices/channel/target[@name="org.qemu.guest_agent.0"]'
_ENDED = ("shutoff", "crashed", "absent")


def is_started(context: ActionContext) -> bool:
    """Return whether this run has started the VM."""
    return "start" in context.done or "restore" in context.done


def wait_until_ready(context: ActionContext, console: Optional[dict[str, Any]]) -> Optional[list[Address]]:
    """Wait for what C(wait_for) of the VM names. The VM runs already, and keeps running when this fails.

    C(console) is that of a VM which was started just now, None for one that ran before. Return its addresses, the best
    first, if they were waited for.
    """
    if context.vm.create_paused and context.look()[0] == "paused":
        return None
    if context.vm.wait_for == "console" and console is not None and not context.system.is_remote:
        # From a remote machine it may be unreachable; libvirt has the port from a QEMU that listens.
        _wait_for_console(context, console)
    elif context.vm.wait_for == "guest_agent" and (is_started(context) or _has_agent_channel(context)):
        _wait_for_agent(context)
    elif context.vm.wait_for == "cloud_init" and (is_started(context) or _has_agent_channel(context)):
        _wait_for_cloud_init(context)
    elif context.vm.wait_for == "address" and (is_started(context) or _has_nic(context)):
        return _wait_for_address(context)
    elif console is None and is_started(context):
        # A running VM has one.
        _wait(context, lambda: context.look()[0] not in _ENDED, CONSOLE_SECONDS, "console", lambda: "it has no console")
    return None


def _has_agent_channel(context: ActionContext) -> bool:
    """Return whether the running VM has the channel. If not, it gets it at its next boot, as the result says."""
    live = context.observed.live_xml
    return live is not None and etree.fromstring(live).find(_AGENT_CHANNEL) is not None


def _wait_for_console(context: ActionContext, console: dict[str, Any]) -> None:
    address, port = WILDCARDS.get(console["host"], console["host"]), console["port"]
    _wait(
        context,
        lambda: context.system.network.answers(address, port),
        CONSOLE_SECONDS,
        "console",
        lambda: "nothing has answered at its console %s port %d" % (address, port),
    )


def _wait_for_agent(context: ActionContext) -> None:
    hypervisor, vm = context.hypervisor, context.vm
    _wait(
        context,
        lambda: context.retried(lambda: hypervisor.agent_answers(vm.uuid, _AGENT_SECONDS)),
        vm.timeout,
        "guest_agent",
        lambda: "its guest agent has not answered",
    )


def _wait_for_cloud_init(context: ActionContext) -> None:
    look = CloudInitLook(context.hypervisor, context.vm.uuid)
    found = partial(context.retried, look)
    _wait(context, found, context.vm.timeout, "cloud_init", look.progress, _AGENT_PAUSE, look.finished_on_console)
    if look.errors:
        message = "cloud-init has ended with errors in the guest: %s" % "; ".join(look.errors)
        raise VmFailed(Failure(VmError("cloud_init_failed", message), "wait_for_cloud_init"))


def _has_nic(context: ActionContext) -> bool:
    """Return whether the running VM has a NIC. If not, it gets it at its next boot."""
    live = context.observed.live_xml
    return live is not None and etree.fromstring(live).find("devices/interface") is not None


class _AddressLook:
    """Looks for addresses, and keeps those found last."""

    def __init__(self, context: ActionContext) -> None:
        self._context = context
        self._has_agent = False
        self._addresses: list[Address] = []
        self.in_use: list[Address] = []

    def __call__(self) -> bool:
        """Return whether an address is in use that is reachable beyond its own link."""
        hypervisor, system, uuid = self._context.hypervisor, self._context.system, self._context.vm.uuid
        try:
            live = etree.fromstring(hypervisor.xml(uuid, inactive=False))
        except VmError as error:
            if error.code != "domain_gone":
                raise
            return False
        self._has_agent = domain_facts.has_agent(live)
        addresses, _left_out = ask_addresses(hypervisor, system, uuid, live, CircuitBreaker())
        self._addresses = best_first(addresses, live)
        self.in_use = [each for each in self._addresses if is_global(each) and is_in_use(each, system)]
        return bool(self.in_use)

    @property
    def link_local(self) -> list[Address]:
        """Return the addresses that a guest always has."""
        return [each for each in self._addresses if not is_global(each)]

    def found_instead(self) -> str:
        """Return what was found instead of such an address, for the error."""
        agent = "" if self._has_agent else "; its guest agent is not connected"
        shown = ["%(address)s of %(mac)s from %(source)s, which " % each + _why(each) for each in self._addresses]
        seen = "last seen: " + ", ".join(shown[:_SHOWN_ADDRESSES]) if shown else "no address was seen"
        return "no NIC has had an address that can be used from elsewhere (%s%s)" % (seen, agent)


def _why(address: Address) -> str:
    return "does not answer" if is_global(address) else "is link-local"


def _wait_for_address(context: ActionContext) -> list[Address]:
    look = _AddressLook(context)
    found = partial(context.retried, look)
    _wait(context, found, context.vm.timeout, "address", look.found_instead, _ADDRESS_PAUSE)
    return look.in_use + look.link_local


def _wait(
    context: ActionContext,
    answers: Callable[[], bool],
    seconds: int,
    what: str,
    otherwise: Callable[[], str],
    pause: float = POLL_SECONDS,
    says_so: Callable[[bytes], bool] = lambda console: False,
) -> None:
    """Wait until something answers, and record the guest's console; on failure, raise an error with its tail."""
    with BootWatch(context.hypervisor, context.system, context.vm) as watch:
        answered = False

        def answered_or_ended() -> bool:
            nonlocal answered
            answered = answers()
            if answered:
                return True
            watch.listen()
            answered = says_so(watch.output)
            return answered or context.look()[0] in _ENDED

        context.wait_for(answered_or_ended, seconds, pause)
        if answered:
            return
        state, reason = context.look()
        if state in _ENDED:
            error = VmError("vm_ended", "the VM ended before it was ready: it is %s (%s)" % (state, reason))
        else:
            message = "the VM is %s (%s), but %s for %d seconds" % (state, reason, otherwise(), seconds)
            error = VmError(what + "_timeout", message)
        raise VmFailed(Failure(error, "wait_for_" + what, diagnostics=watch.diagnostics()))
