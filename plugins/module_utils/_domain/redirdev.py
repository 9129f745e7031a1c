# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(redirdev): USB devices of the spice client."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .context import BuildContext
from .elements import add
from .usb_address import add_usb_address


def add_redirections(devices: etree._Element, context: BuildContext) -> None:
    """Add ports for USB devices of the spice client."""
    if context.vm.usb_redirect and not offers(context.capabilities.redirdev_buses, "usb"):
        context.missing.append(
            Problem(
                context.option_path("usb_redirect"),
                "the host's QEMU cannot redirect USB devices",
                "unsupported_device",
                "set usb_redirect to false",
            )
        )
    for port in context.usb.redirections:
        add_usb_address(add(devices, "redirdev", bus="usb", type="spicevmc"), port)
