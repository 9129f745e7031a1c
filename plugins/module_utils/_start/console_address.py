# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console of a running VM: where it listens. Pure."""

from __future__ import annotations

from typing import Any, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._spec.vm import Vm

# The addresses that stand for all, and the one of them at which this machine reaches itself.
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def console_of(vm: Vm, live: Optional[etree._Element]) -> Optional[dict[str, Any]]:
    """Return a running VM's console: C(type), C(host), C(port); None if it has none.

    If it listens on all addresses, C(host) is the hypervisor's management address if that is known.
    """
    return None if live is None else console_of_domain(live, vm.host_management_ip)


def console_of_domain(live: etree._Element, management_ip: Optional[str]) -> Optional[dict[str, Any]]:
    """Return the same for a running domain, without its options."""
    graphics = live.find("devices/graphics")
    if graphics is None:
        return None
    port = int(graphics.get("port") or -1)
    if port <= 0:
        port = int(graphics.get("tlsPort") or -1)
    if port <= 0:
        return None
    listen = graphics.get("listen") or "127.0.0.1"
    host = (management_ip or listen) if listen in WILDCARDS else listen
    return {"type": graphics.get("type"), "host": host, "port": port}
