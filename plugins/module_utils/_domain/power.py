# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(pm): whether the guest can suspend itself."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


def add_power_management(domain: etree._Element, context: BuildContext) -> None:
    """Add what is set; aarch64 machines cannot suspend."""
    states = (("suspend-to-mem", context.vm.suspend_to_ram), ("suspend-to-disk", context.vm.suspend_to_disk))
    given = [(tag, enabled) for tag, enabled in states if enabled is not None]
    if context.is_aarch64 or not given:
        return
    power = add(domain, "pm")
    for tag, enabled in given:
        add(power, tag, enabled="yes" if enabled else "no")
