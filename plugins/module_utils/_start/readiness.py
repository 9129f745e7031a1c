# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until a running VM can be used: until its console listens, or its guest's agent answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._actions.context import Context
from .._diagnostics.boot_diagnostics import Watch
from .._errors.errors import VmError
from .._spec.vm import Vm

CONSOLE_SECONDS = 30
_AGENT_SECONDS = 1
_AGENT_CHANNEL = 'devices/channel/target[@name="org.qemu.guest_agent.0"]'
_ENDED = ("shutoff", "crashed", "absent")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def console_of(vm: Vm, live_xml: Optional[str]) -> Optional[dict[str, Any]]:
    """Where a running VM's console is: C(type), C(host), C(port); None where there is none.

    Where it listens on every address, C(host) is the hypervisor's management address if that is known.
    """
    return None if live_xml is None else console_of_domain(etree.fromstring(live_xml), vm.host_management_ip)


def console_of_domain(live: etree._Element, management_ip: Optional[str]) -> Optional[dict[str, Any]]:
    """The same of a running domain of which nothing else is known."""
    graphics = live.find("devices/graphics")
    if graphics is None:
        return None
    port = int(graphics.get("port") or -1)
    if port <= 0:
        port = int(graphics.get("tlsPort") or -1)
    if port <= 0:
        return None
    listen = graphics.get("listen") or "127.0.0.1"
    host = (management_ip or listen) if listen in _WILDCARDS else listen
    return {"type": graphics.get("type"), "host": host, "port": port}


def wait_until_usable(context: Context, console: Optional[dict[str, Any]]) -> None:
    """Waits for what C(wait_for) of the VM names. The VM runs already, and goes on when this fails.

    C(console) is that of a VM which was started just now, None for one that ran before.
    """
    if context.vm.wait_for == "console" and console is not None and not context.system.is_remote:
        # Through libvirt alone it may be out of reach; libvirt has the port from a QEMU that listens.
        _wait_for_console(context, console)
    elif context.vm.wait_for == "guest_agent" and ("start" in context.done or _has_agent_channel(context)):
        _wait_for_agent(context)
    elif console is None and "start" in context.done:
        # A VM that runs has one.
        _wait(context, lambda: context.look()[0] not in _ENDED, CONSOLE_SECONDS, "console", "it has no console")


def _has_agent_channel(context: Context) -> bool:
    """One that ran before may get its channel at its next boot only; the result says that this is due."""
    live = context.observed.live_xml
    return live is not None and etree.fromstring(live).find(_AGENT_CHANNEL) is not None


def _wait_for_console(context: Context, console: dict[str, Any]) -> None:
    address, port = _WILDCARDS.get(console["host"], console["host"]), console["port"]
    _wait(
        context,
        lambda: context.system.answers(address, port),
        CONSOLE_SECONDS,
        "console",
        "nothing has answered at its console %s port %d" % (address, port),
    )


def _wait_for_agent(context: Context) -> None:
    hypervisor, vm = context.hypervisor, context.vm
    _wait(
        context,
        lambda: context.retried(lambda: hypervisor.agent_answers(vm.uuid, _AGENT_SECONDS)),
        vm.timeout,
        "guest_agent",
        "its guest agent has not answered",
    )


def _wait(context: Context, answers: Callable[[], bool], seconds: int, what: str, otherwise: str) -> None:
    """Waits until something answers, and watches the guest meanwhile; raises with what was seen of it last."""
    with Watch(context.hypervisor, context.system, context.vm) as watch:
        answered = False

        def answered_or_ended() -> bool:
            nonlocal answered
            answered = answers()
            if answered:
                return True
            watch.listen()
            return context.look()[0] in _ENDED

        context.wait_for(answered_or_ended, seconds)
        if answered:
            return
        state, reason = context.look()
        if state in _ENDED:
            error = VmError("vm_ended", "the VM ended while it was waited for: it is %s (%s)" % (state, reason))
        else:
            message = "the VM is %s (%s), but %s for %d seconds" % (state, reason, otherwise, seconds)
            error = VmError(what + "_timeout", message)
        error.phase = "wait_for_" + what
        error.last_seen = watch.last_seen()
        raise error
