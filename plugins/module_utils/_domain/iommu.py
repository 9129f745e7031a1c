# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(iommu)."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.capabilities import is_q35
from .context import BuildContext
from .elements import add
from .vcpu import PLAIN_PC_CPUS, max_cpus


def needs_iommu(context: BuildContext) -> bool:
    """Return whether interrupts reach all CPUs only through an IOMMU, which in turn needs QEMU's own IO-APIC."""
    return is_q35(context.kind.machine) and max_cpus(context) > PLAIN_PC_CPUS


def add_iommu(devices: etree._Element, context: BuildContext) -> None:
    """Add an IOMMU if the VM needs one."""
    if needs_iommu(context):
        add(add(devices, "iommu", model="intel"), "driver", intremap="on", eim="on")
