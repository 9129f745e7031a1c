# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name what is waited for in the guest of a VM, even if the VM already runs."""

from __future__ import annotations

# Of the choices of wait_for
NEEDS_GUEST = ("guest_agent", "address", "cloud_init")
