# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPUs, their share of time, and what the guest sees of them."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import is_q35, offers
from .context import Context
from .elements import add
from .memory import memory_kib

# With online growth: as many as ZStack has it.
_GROWN_SOCKETS = 32
_GROWN_CORES = 4
GROWN_CPUS = _GROWN_SOCKETS * _GROWN_CORES

# A CPU that every aarch64 guest knows; "maximum" has features that are slow to emulate.
_EMULATED_AARCH64_CPU = "cortex-a57"

# cgroup v1 shares and cgroup v2 weights: lowest, highest, default. cgroup v2 takes 1 too, but libvirt never does.
_SHARES = (2, 262144, 1024)
_WEIGHTS = (2, 10000, 100)


# A PC's interrupts have 8 bits for the CPU; an IOMMU translates more.
_PLAIN_PC_CPUS = 255


def max_cpus(context: Context) -> int:
    """How many CPUs the VM can have while it runs."""
    return GROWN_CPUS if context.vm.use_numa else context.vm.cpu_num


def add_vcpus(domain: etree._Element, context: Context) -> None:
    """vcpu."""
    most = max_cpus(context)
    vcpu = add(domain, "vcpu", str(most), placement="static")
    if context.vm.use_numa:
        vcpu.set("current", str(context.vm.cpu_num))
    limit = _limit(context)
    if limit is not None and most > limit:
        context.missing.append(
            Problem(
                context.place("use_numa" if context.vm.use_numa else "cpu_num"),
                "%d CPUs are more than the %d that the machine %s has" % (most, limit, context.kind.machine),
                "unsupported_device",
                "lower cpu_num" if not context.vm.use_numa else "set use_numa to false",
            )
        )


def _limit(context: Context) -> Optional[int]:
    known = context.capabilities.max_cpus
    if context.is_aarch64 or is_q35(context.kind.machine):
        return known
    return _PLAIN_PC_CPUS if known is None else min(known, _PLAIN_PC_CPUS)


def needs_iommu(context: Context) -> bool:
    """Whether interrupts reach all CPUs only through an IOMMU, which in turn needs QEMU's own IO-APIC."""
    return is_q35(context.kind.machine) and max_cpus(context) > _PLAIN_PC_CPUS


def add_iommu(devices: etree._Element, context: Context) -> None:
    """iommu."""
    if needs_iommu(context):
        add(add(devices, "iommu", model="intel"), "driver", intremap="on", eim="on")


def add_cpu_tuning(domain: etree._Element, context: Context) -> None:
    """cputune/shares."""
    shares = context.vm.cpu_speed * context.vm.cpu_num
    add(add(domain, "cputune"), "shares", str(scaled_shares(shares, context.host.cgroup_version)))


def scaled_shares(shares: int, cgroup_version: int) -> int:
    """Shares as the host's cgroups take them. On cgroup v2 the default stays the default, as with systemd."""
    lowest, highest, default = _SHARES
    if cgroup_version == 2:
        lowest, highest, scaled_default = _WEIGHTS
        shares = shares * scaled_default // default
    return min(max(shares, lowest), highest)


def add_cpu(domain: etree._Element, context: Context) -> None:
    """cpu: mode, topology, and with online growth the NUMA cell that holds all memory."""
    vm = context.vm
    cpu = add(domain, "cpu")
    _add_mode(cpu, context)
    sockets, cores = (_GROWN_SOCKETS, _GROWN_CORES) if vm.use_numa else (vm.socket_num, vm.cpu_on_socket)
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


def _add_mode(cpu: etree._Element, context: Context) -> None:
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


def _offered_mode(mode: str, context: Context) -> str:
    """The mode, or the one that comes nearest to it: few aarch64 hosts have host-model, emulation has no host CPU."""
    offered = context.capabilities.cpu_modes
    if offers(offered, mode):
        return mode
    nearest = "maximum" if context.is_emulated else "host-passthrough"
    if offers(offered, nearest):
        context.warnings.append("the host does not offer the CPU mode %s: the VM gets %s" % (mode, nearest))
        return nearest
    context.missing.append(
        Problem(
            context.place("nested_virtualization"),
            "the host does not offer the CPU mode %s (it has: %s)" % (mode, ", ".join(offered or ()) or "none"),
            "unsupported_device",
        )
    )
    return mode
