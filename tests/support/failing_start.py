# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A patch for a domain that libvirt accepts and QEMU refuses: its start fails after everything that comes before."""

from __future__ import annotations

UNKNOWN_TO_QEMU = {
    "action": "add",
    "xpath": "/domain",
    "value": '<qemu:commandline xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">'
    '<qemu:arg value="-no-such-option"/></qemu:commandline>',
}
