# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(clock) and its timers."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


def add_clock(domain: etree._Element, context: BuildContext) -> None:
    """Add the clock; local time comes with the timers that Windows needs."""
    clock = add(domain, "clock", offset=context.vm.clock)
    if context.vm.clock == "localtime":
        rtc = add(clock, "timer", name="rtc", tickpolicy="catchup")
        if context.vm.clock_track:
            rtc.set("track", context.vm.clock_track)
        add(clock, "timer", name="pit", tickpolicy="delay")
        add(clock, "timer", name="hpet", present="no")
        if context.vm.hyperv_clock and not context.is_aarch64:
            add(clock, "timer", name="hypervclock", present="yes")
