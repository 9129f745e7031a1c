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


_KINDS = {"vnc": ("vnc",), "spice": ("spice",), "vnc_and_spice": ("vnc", "spice"), "none": ()}
_LOCAL = frozenset({LOOPBACK, "::1", "0.0.0.0", "::"})


def add_graphics(devices: etree._Element, context: BuildContext) -> None:
    """Add the graphical consoles, each on a port that libvirt chooses; VNC is the first."""
    kinds = _KINDS[context.vm.console_mode]
    offered = context.capabilities.graphics
    context.missing.extend(
        not_offered(context, "console_mode", kind, offered) for kind in kinds if not offers(offered, kind)
    )
    address = _listen_address(context) if kinds else ""
    for kind in kinds:
        graphics = add(devices, "graphics", type=kind, autoport="yes")
        if context.vm.console_password:
            graphics.set("passwd", context.vm.console_password)
        add(graphics, "listen", type="address", address=address)
        if kind == "spice":
            _add_spice_options(graphics, context)


def _add_spice_options(graphics: etree._Element, context: BuildContext) -> None:
    vm = context.vm
    _add_secure_channels(graphics, context)
    add(graphics, "image", compression="auto_glz")
    add(graphics, "jpeg", compression="always")
    add(graphics, "zlib", compression="never")
    add(graphics, "playback", compression="off")
    add(graphics, "streaming", mode=vm.spice_streaming_mode)
    add(graphics, "mouse", mode="client")
    add(graphics, "clipboard", copypaste="yes" if vm.spice_clipboard else "no")
    add(graphics, "filetransfer", enable="yes" if vm.spice_file_transfer else "no")


def _add_secure_channels(graphics: etree._Element, context: BuildContext) -> None:
    """Add the channels that are encrypted; libvirt refuses them on a host without TLS for spice."""
    channels = context.vm.spice_secure_channels
    if channels and not context.host.device_support.has_spice_tls:
        context.warnings.append(
            "%s has no effect: the host's qemu.conf does not set spice_tls"
            % context.option_path("spice_secure_channels")
        )
        return
    for channel in channels:
        add(graphics, "channel", name=channel, mode="secure")


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
