# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(iothreads), C(cputune) and C(numatune): where and how much the VM's threads run."""

from __future__ import annotations

from collections.abc import Iterator

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.values import cpus_of
from .context import BuildContext
from .elements import add

# cgroup v1 shares and cgroup v2 weights: lowest, highest, default. cgroup v2 takes 1 too, but libvirt never does.
_SHARES = (2, 262144, 1024)
_WEIGHTS = (2, 10000, 100)
# ZStack's: cpu_quota is in microseconds of it.
_PERIOD = 1000000


def add_io_threads(domain: etree._Element, context: BuildContext) -> None:
    """Declare the IO threads."""
    if not context.vm.io_threads:
        return
    add(domain, "iothreads", str(len(context.vm.io_threads)))
    ids = add(domain, "iothreadids")
    for thread in context.vm.io_threads:
        add(ids, "iothread", id=str(thread.id))


def add_cpu_tuning(domain: etree._Element, context: BuildContext) -> None:
    """Add the CPU shares and the quota, if the host's cgroups support them, and the pinning."""
    vm = context.vm
    tune = etree.Element("cputune")
    if context.host.has_cpu_shares:
        shares = vm.cpu_speed * vm.cpu_num if vm.cpu_shares is None else vm.cpu_shares
        add(tune, "shares", str(scaled_shares(shares, context.host.cgroup_version)))
        if vm.cpu_quota is not None:
            add(tune, "period", str(_PERIOD))
            add(tune, "quota", str(vm.cpu_quota))
    for pin in vm.cpu_pinning:
        add(tune, "vcpupin", vcpu=str(pin.vcpu), cpuset=pin.cpus)
    if vm.emulator_pinning is not None:
        add(tune, "emulatorpin", cpuset=vm.emulator_pinning)
    for thread in vm.io_threads:
        if thread.cpus is not None:
            add(tune, "iothreadpin", iothread=str(thread.id), cpuset=thread.cpus)
    if len(tune):
        domain.append(tune)
    context.missing.extend(_missing_cpus(context))


def add_numa_tuning(domain: etree._Element, context: BuildContext) -> None:
    """Prefer a node of the host for the memory of each of the guest's nodes that names one."""
    nodes = [node for node in context.vm.numa_nodes if node.host_node is not None]
    if not nodes:
        return
    tune = add(domain, "numatune")
    known = context.host.capabilities.numa_nodes
    for node in nodes:
        add(tune, "memnode", cellid=str(node.id), mode="preferred", nodeset=str(node.host_node))
        if known and node.host_node not in known:
            message = "the host has no NUMA node %s (it has: %s)" % (node.host_node, _listed(known))
            context.missing.append(Problem("%s.host_node" % node.option_path, message, "device_missing"))


def _missing_cpus(context: BuildContext) -> Iterator[Problem]:
    known = context.host.capabilities.cpus
    if not known:
        return
    vm = context.vm
    sets = [("%s.cpus" % pin.option_path, pin.cpus) for pin in vm.cpu_pinning]
    sets.append((context.option_path("emulator_pinning"), vm.emulator_pinning or ""))
    sets += [("%s.cpus" % thread.option_path, thread.cpus or "") for thread in vm.io_threads]
    for option_path, cpus in sets:
        beyond = cpus_of(cpus) - known if cpus else frozenset()
        if beyond:
            message = "the host has no CPU %s (it has: %s)" % (_listed(beyond), _listed(known))
            yield Problem(option_path, message, "device_missing")


def _listed(numbers: frozenset[int]) -> str:
    """Return numbers as ranges: C(0-3, 8)."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join("%d" % first if first == last else "%d-%d" % (first, last) for first, last in ranges)


def scaled_shares(shares: int, cgroup_version: int) -> int:
    """Return the shares in the unit of the host's cgroups. The default of version 1 maps to that of version 2."""
    lowest, highest, default = _SHARES
    if cgroup_version == 2:
        lowest, highest, scaled_default = _WEIGHTS
        shares = shares * scaled_default // default
    return min(max(shares, lowest), highest)
