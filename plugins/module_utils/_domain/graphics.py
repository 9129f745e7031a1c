# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(graphics): the graphical console."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .context import BuildContext
from .elements import add
from .offers import not_offered

LOOPBACK = "127.0.0.1"


_LOCAL = frozenset({LOOPBACK, "::1", "0.0.0.0", "::"})


def add_graphics(devices: etree._Element, context: BuildContext) -> None:
    """Add the graphical console, on a port that libvirt chooses."""
    vm = context.vm
    if not offers(context.capabilities.graphics, vm.console_mode):
        context.missing.append(not_offered(context, "console_mode", vm.console_mode, context.capabilities.graphics))
    graphics = add(devices, "graphics", type=vm.console_mode, autoport="yes")
    if vm.console_password:
        graphics.set("passwd", vm.console_password)
    add(graphics, "listen", type="address", address=_listen_address(context))
    if vm.console_mode == "spice":
        add(graphics, "image", compression="auto_glz")
        add(graphics, "jpeg", compression="always")
        add(graphics, "zlib", compression="never")
        add(graphics, "playback", compression="off")
        add(graphics, "streaming", mode=vm.spice_streaming_mode)
        add(graphics, "mouse", mode="client")
        add(graphics, "clipboard", copypaste="no")
        add(graphics, "filetransfer", enable="no")


def _listen_address(context: BuildContext) -> str:
    vm = context.vm
    option = "console_listen" if vm.console_listen else "host_management_ip"
    address = vm.console_listen or vm.host_management_ip or LOOPBACK
    known = context.host.addresses
    if known is not None and address not in known | _LOCAL:
        context.missing.append(
            Problem(
                context.option_path(option),
                "the console cannot listen on %s: the host has no such address (it has: %s)"
                % (address, ", ".join(sorted(known))),
                "address_missing",
            )
        )
    return address
