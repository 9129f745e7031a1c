# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(sysinfo): the texts that the guest's firmware has about the machine."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add


def add_smbios(domain: etree._Element, context: BuildContext) -> None:
    """Add the texts; C(os/smbios) makes the firmware use them."""
    smbios = context.vm.smbios
    if smbios is None:
        return
    sysinfo = add(domain, "sysinfo", type="smbios")
    system = (("manufacturer", smbios.manufacturer), ("product", smbios.product), ("serial", smbios.serial))
    _add_block(sysinfo, "system", system)
    _add_block(sysinfo, "chassis", (("asset", smbios.asset_tag),))
    if smbios.oem_strings:
        strings = add(sysinfo, "oemStrings")
        for text in smbios.oem_strings:
            add(strings, "entry", text)


def _add_block(sysinfo: etree._Element, tag: str, entries: tuple[tuple[str, Optional[str]], ...]) -> None:
    given = [(name, text) for name, text in entries if text is not None]
    if given:
        block = add(sysinfo, tag)
        for name, text in given:
            add(block, "entry", text, name=name)
