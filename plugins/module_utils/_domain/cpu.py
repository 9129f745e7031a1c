# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cpu): mode, topology and NUMA cells."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import offers
from .context import BuildContext
from .elements import add
from .memory import memory_kib
from .vcpu import GROWN_CORES, max_cpus

# A CPU that every aarch64 guest knows; "maximum" has features that are slow to emulate.
_EMULATED_AARCH64_CPU = "cortex-a57"


def add_cpu(domain: etree._Element, context: BuildContext) -> None:
    """Add mode, topology, NUMA nodes (with online growth the one that holds all memory) and features."""
    vm = context.vm
    cpu = add(domain, "cpu")
    _add_mode(cpu, context)
    sockets, cores, threads = _topology(context)
    add(cpu, "topology", sockets=str(sockets), cores=str(cores), threads=str(threads))
    _add_features(cpu, context)
    if vm.use_numa:
        last = max_cpus(context) - 1
        add(add(cpu, "numa"), "cell", id="0", cpus="0-%d" % last, memory=str(memory_kib(context)), unit="KiB")
    elif vm.numa_nodes:
        _add_numa_nodes(add(cpu, "numa"), context)


def _topology(context: BuildContext) -> tuple[int, int, int]:
    """Return sockets, cores and threads; the product is the most CPUs that the VM can have."""
    vm, most = context.vm, max_cpus(context)
    if not vm.use_numa:
        return vm.socket_num or 1, vm.cpu_on_socket or vm.cpu_num, vm.threads_per_core
    if vm.max_vcpu_num and vm.socket_num and vm.cpu_on_socket:
        if context.is_aarch64:
            return vm.socket_num, most // vm.socket_num, 1
        return vm.socket_num, vm.cpu_on_socket, vm.threads_per_core
    if vm.max_vcpu_num and context.is_aarch64:
        sockets = len(context.host.capabilities.numa_nodes) or 1
        return (sockets, most // sockets, 1) if most % sockets == 0 else (1, most, 1)
    return (most // GROWN_CORES, GROWN_CORES, 1) if most % GROWN_CORES == 0 else (most, 1, 1)


def _add_features(cpu: etree._Element, context: BuildContext) -> None:
    if context.is_aarch64 or context.vm.nested_virtualization == "none":
        return
    for name, enabled in (("x2apic", context.vm.x2apic), ("hypervisor", context.vm.cpu_hypervisor_feature)):
        if not enabled:
            add(cpu, "feature", name=name, policy="disable")


def _add_numa_nodes(numa: etree._Element, context: BuildContext) -> None:
    for node in context.vm.numa_nodes:
        cell = add(numa, "cell", id=str(node.id), cpus=node.cpus, memory=str(node.memory >> 10), unit="KiB")
        if node.distances:
            distances = add(cell, "distances")
            for other, distance in enumerate(node.distances):
                add(distances, "sibling", id=str(other), value=str(distance))


def _add_mode(cpu: etree._Element, context: BuildContext) -> None:
    mode = context.vm.nested_virtualization
    if mode == "custom":
        _add_custom_model(cpu, context)
        return
    if context.is_aarch64:
        if context.is_emulated and offers(context.capabilities.cpu_models, _EMULATED_AARCH64_CPU):
            cpu.set("mode", "custom")
            cpu.set("match", "exact")
            add(cpu, "model", _EMULATED_AARCH64_CPU, fallback="forbid")
            return
        if mode == "none":
            mode = "host-passthrough"
    if mode != "none":
        cpu.set("mode", _offered_mode(mode, context))
        _add_vendor(add(cpu, "model", fallback="allow"), context)


def _add_custom_model(cpu: etree._Element, context: BuildContext) -> None:
    model, known = context.vm.cpu_model or "", context.capabilities.cpu_models
    cpu.set("mode", "custom")
    cpu.set("match", "exact")
    _add_vendor(add(cpu, "model", model, fallback="allow"), context)
    if not offers(known, model):
        message = "the host does not know the CPU model %s (it has: %s)" % (model, ", ".join(known or ()) or "none")
        context.missing.append(Problem(context.option_path("cpu_model"), message, "unsupported_device"))


def _add_vendor(model: etree._Element, context: BuildContext) -> None:
    if context.vm.cpu_vendor_id and not context.is_aarch64:
        model.set("vendor_id", context.vm.cpu_vendor_id)


def _offered_mode(mode: str, context: BuildContext) -> str:
    """Return the mode, or the nearest one that the host offers.

    Few aarch64 hosts have host-model; emulation has no host CPU.
    """
    offered = context.capabilities.cpu_modes
    if offers(offered, mode):
        return mode
    nearest = "maximum" if context.is_emulated else "host-passthrough"
    if offers(offered, nearest):
        context.warnings.append("the host does not offer the CPU mode %s: the VM gets %s" % (mode, nearest))
        return nearest
    context.missing.append(
        Problem(
            context.option_path("nested_virtualization"),
            "the host does not offer the CPU mode %s (it has: %s)" % (mode, ", ".join(offered or ()) or "none"),
            "unsupported_device",
        )
    )
    return mode
