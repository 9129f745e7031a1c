# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather which VMs are active on a hypervisor, and which hypervisor that is."""

from __future__ import annotations

from typing import Any

from .._host.capabilities import parse_capabilities
from .._libvirt.hypervisor import Hypervisor


def active_vms(hypervisor: Hypervisor) -> dict[str, Any]:
    """Return what tells a hypervisor from others, and the UUIDs of all its active domains. Raise VmError."""
    return {
        "uuid": parse_capabilities(hypervisor.capabilities()).host_uuid,
        "hostname": hypervisor.hostname(),
        "active": [domain.uuid for domain in hypervisor.list_domains() if domain.active],
    }
