# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(address) of a device on a USB bus."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .elements import add
from .usb_layout import UsbPort


def add_usb_address(element: etree._Element, port: UsbPort) -> None:
    """Assign a device to a port of a USB controller."""
    add(element, "address", type="usb", bus=str(port.controller), port=str(port.port))
