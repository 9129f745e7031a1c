# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bindings of libvirt, or why this Python has none."""

from __future__ import annotations

import traceback
from typing import Optional

try:
    import libvirt
    import libvirt_qemu

    LIBVIRT_IMPORT_ERROR: Optional[str] = None
except ImportError:
    libvirt = libvirt_qemu = None
    LIBVIRT_IMPORT_ERROR = traceback.format_exc()

__all__ = ["LIBVIRT_IMPORT_ERROR", "libvirt", "libvirt_qemu"]
