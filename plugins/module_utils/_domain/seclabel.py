# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(seclabel): confinement of QEMU."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


def add_security_label(domain: etree._Element, context: BuildContext) -> None:
    """Disable confinement, as ZStack does, or add nothing, so that the host's configuration applies."""
    if context.vm.security_label == "none":
        add(domain, "seclabel", type="none")
