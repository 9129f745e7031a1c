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
from .vcpu import GROWN_CORES, GROWN_CPUS, GROWN_SOCKETS

# A CPU that every aarch64 guest knows; "maximum" has features that are slow to emulate.
_EMULATED_AARCH64_CPU = "cortex-a57"


def add_cpu(domain: etree._Element, context: BuildContext) -> None:
    """Add mode and topology, and with online growth the NUMA cell that holds all memory."""
    vm = context.vm
    cpu = add(domain, "cpu")
    _add_mode(cpu, context)
    sockets, cores = (GROWN_SOCKETS, GROWN_CORES) if vm.use_numa else (vm.socket_num, vm.cpu_on_socket)
    add(cpu, "topology", sockets=str(sockets), cores=str(cores), threads="1")
    if vm.use_numa:
        add(
            add(cpu, "numa"),
            "cell",
            id="0",
            cpus="0-%d" % (GROWN_CPUS - 1),
            memory=str(memory_kib(context)),
            unit="KiB",
        )


def _add_mode(cpu: etree._Element, context: BuildContext) -> None:
    mode = context.vm.nested_virtualization
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
        add(cpu, "model", fallback="allow")


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
