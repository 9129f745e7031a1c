# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MAC address of a NIC for which none is given."""

from __future__ import annotations

import hashlib


def derived_mac(vm_uuid: str, device_id: int) -> str:
    """Return the MAC of a NIC without a given one: the same for a VM and device_id on every host.

    It starts with C(fa), as ZStack's own do: locally administered, unicast. The other five bytes are the first five
    of the SHA-256 of C(UUID/DEVICE_ID).
    """
    digest = hashlib.sha256(("%s/%d" % (vm_uuid, device_id)).encode("ascii")).digest()
    return ":".join("%02x" % byte for byte in (0xFA, *digest[:5]))
