# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the machine and its clock."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import Context
from .cpu import max_cpus, needs_iommu
from .elements import add

# libvirt gives emulated machines a GIC of version 2, which can't have more.
_GIC_2_CPUS = 8


def add_features(domain: etree._Element, context: Context) -> None:
    """features: what the architecture has."""
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


def add_clock(domain: etree._Element, context: Context) -> None:
    """clock: local time comes with the timers that Windows wants."""
    clock = add(domain, "clock", offset=context.vm.clock)
    if context.vm.clock == "localtime":
        add(clock, "timer", name="rtc", tickpolicy="catchup")
        add(clock, "timer", name="pit", tickpolicy="delay")
        add(clock, "timer", name="hpet", present="no")
        if not context.is_aarch64:
            add(clock, "timer", name="hypervclock", present="yes")
