# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(sound)."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


def add_sound(devices: etree._Element, context: BuildContext) -> None:
    """Add a sound card, which only spice can play."""
    if context.vm.has_spice:
        add(devices, "sound", model=context.vm.sound_type)
