# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(features)."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._host.capabilities import is_q35, offers
from .context import BuildContext
from .elements import add
from .iommu import needs_iommu
from .vcpu import max_cpus

# libvirt gives emulated machines a GIC of version 2, which is limited to 8 CPUs.
_GIC_2_CPUS = 8


# ZStack's, those that need a clock from the hypervisor, and how often a guest spins before it tells the hypervisor.
_ENLIGHTENMENTS = ("relaxed", "vapic", "spinlocks", "frequencies", "vendor_id")
_CLOCKED_ENLIGHTENMENTS = ("vpindex", "runtime", "synic", "stimer")
_SPINLOCK_RETRIES = "8191"


def add_features(domain: etree._Element, context: BuildContext) -> None:
    """Add the features of the architecture, and those of the VM."""
    vm = context.vm
    features = add(domain, "features")
    if vm.acpi:
        add(features, "acpi")
    if context.is_aarch64:
        if context.is_emulated and max_cpus(context) > _GIC_2_CPUS:
            add(features, "gic", version="3")
    else:
        add(features, "apic")
        add(features, "pae")
    _add_ioapic(features, context)
    if vm.emulate_hyperv and not context.is_aarch64:
        _add_enlightenments(features, context)
    if vm.pmu is not None:
        add(features, "pmu", state=_state(vm.pmu))
    if vm.vm_port_off and not context.is_aarch64:
        add(features, "vmport", state="off")
    if (vm.secure_boot or vm.tpm) and is_q35(context.kind.machine):
        add(features, "smm", state="on")
    if vm.kvm_hidden_state and context.is_aarch64:
        context.warnings.append("kvm_hidden_state has no effect: QEMU cannot hide KVM from an aarch64 guest")
    elif vm.kvm_hidden_state:
        add(add(features, "kvm"), "hidden", state="on")


def _add_ioapic(features: etree._Element, context: BuildContext) -> None:
    driver = "qemu" if needs_iommu(context) else context.vm.ioapic
    # Emulation has only QEMU's own.
    if driver and not context.is_aarch64 and not (context.is_emulated and driver == "kvm"):
        add(features, "ioapic", driver=driver)


def _add_enlightenments(features: etree._Element, context: BuildContext) -> None:
    """Add those of ZStack that the host offers, and warn of the others."""
    vm, offered = context.vm, context.capabilities.hyperv_features
    hyperv = add(features, "hyperv")
    enlightenments = [name for name in _ENLIGHTENMENTS if name != "vendor_id" or vm.hyperv_vendor_id]
    if vm.hyperv_clock:
        enlightenments += _CLOCKED_ENLIGHTENMENTS
    for name in enlightenments:
        if not offers(offered, name):
            continue
        enlightenment = add(hyperv, name, state="on")
        if name == "spinlocks":
            enlightenment.set("retries", _SPINLOCK_RETRIES)
        elif name == "vendor_id":
            enlightenment.set("value", vm.hyperv_vendor_id)
        elif name == "stimer":
            add(enlightenment, "direct", state="on")
    missing = [name for name in enlightenments if not offers(offered, name)]
    if missing:
        message = "the host does not offer the Hyper-V enlightenments %s: the VM goes without them"
        context.warnings.append(message % ", ".join(missing))


def _state(is_on: bool) -> str:
    return "on" if is_on else "off"
