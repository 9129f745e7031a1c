# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(memballoon)."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .address import add_address
from .context import BuildContext
from .elements import add


def add_memory_balloon(devices: etree._Element, context: BuildContext) -> None:
    """Add the balloon, and the period in seconds at which libvirt reads the guest's statistics."""
    options = context.vm.memory_balloon
    if options is not None and not options.enabled:
        add(devices, "memballoon", model="none")
        return
    balloon = add(devices, "memballoon", model="virtio")
    add(balloon, "stats", period="10")
    add_address(balloon, options.address if options else None)
