# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(panic): the devices by which a guest's kernel reports that it has crashed."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


def add_panic_devices(devices: etree._Element, context: BuildContext) -> None:
    """Add the devices, which only PCs have."""
    if context.is_aarch64:
        if context.vm.panic_devices:
            context.warnings.append("panic_devices have no effect: an aarch64 guest has none")
        return
    for model in context.vm.panic_devices:
        panic = add(devices, "panic", model=model)
        if model == "isa":
            add(panic, "address", type="isa", iobase="0x505")
