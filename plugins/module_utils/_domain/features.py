# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(features)."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add
from .iommu import needs_iommu
from .vcpu import max_cpus

# libvirt gives emulated machines a GIC of version 2, which is limited to 8 CPUs.
_GIC_2_CPUS = 8


def add_features(domain: etree._Element, context: BuildContext) -> None:
    """Add the features of the architecture."""
    features = add(domain, "features")
    add(features, "acpi")
    if context.is_aarch64:
        if context.is_emulated and max_cpus(context) > _GIC_2_CPUS:
            add(features, "gic", version="3")
    else:
        add(features, "apic")
        add(features, "pae")
    if needs_iommu(context):
        add(features, "ioapic", driver="qemu")
    if context.vm.kvm_hidden_state and context.is_aarch64:
        context.warnings.append("kvm_hidden_state has no effect: QEMU cannot hide KVM from an aarch64 guest")
    elif context.vm.kvm_hidden_state:
        add(add(features, "kvm"), "hidden", state="on")
