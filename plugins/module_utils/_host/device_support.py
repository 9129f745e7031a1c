# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts about the hypervisor, apart from libvirt's capabilities, that decide about a VM's devices."""

from __future__ import annotations

import re

from .._errors.errors import VmError
from .capabilities import DeviceSupport
from .files import Files
from .system import System

# Where ZStack keeps the ROM files of device specifications, named by their UUIDs.
PCI_ROM_DIRECTORY = "/var/lib/zstack/pcirom"

_CONFIGURATION = "/etc/libvirt/qemu.conf"
_SPICE_TLS = re.compile(r'^[ \t]*spice_tls[ \t]*=[ \t]*"?1\b', re.MULTILINE)


def device_support(system: System) -> DeviceSupport:
    """Return what the hypervisor has; of a remote one, nothing."""
    if system.is_remote:
        return DeviceSupport()
    return DeviceSupport(
        pci_roms=frozenset(system.files.list_directory(PCI_ROM_DIRECTORY)),
        has_spice_tls=_has_spice_tls(system.files),
        largest_gpu_bar=system.devices.largest_gpu_bar(),
    )


def _has_spice_tls(files: Files) -> bool:
    try:
        return bool(_SPICE_TLS.search(files.read_text(_CONFIGURATION) or ""))
    except VmError:
        # The file is readable for root only; libvirt's default is no TLS.
        return False
