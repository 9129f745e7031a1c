# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(input): keyboard and tablet."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add
from .usb_address import add_usb_address


def add_inputs(devices: etree._Element, context: BuildContext) -> None:
    """Add a tablet, so that the pointer follows the mouse, and a keyboard on aarch64, which has none of its own.

    Appliance VMs have neither.
    """
    if context.usb.tablet:
        add_usb_address(add(devices, "input", type="tablet", bus="usb"), context.usb.tablet)
    if context.usb.keyboard:
        add_usb_address(add(devices, "input", type="keyboard", bus="usb"), context.usb.keyboard)
