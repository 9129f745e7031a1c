# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of the options of a VM's machine that are each valid but contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .._errors.errors import Problem
from .option_reader import Part
from .values import cpus_of

NUMA_MAX_CPUS = 128
NUMA_MAX_MEMORY = 68719476736 << 10
_OWN_DISTANCE = 10


def machine_problems(vm: Part) -> Iterator[Problem]:
    """Yield the problems of one VM's machine."""
    yield from _growth_problems(vm) if vm.get("use_numa") else _topology_problems(vm)
    yield from _cpu_model_problems(vm)
    yield from _pinning_problems(vm)
    yield from _numa_problems(vm)
    yield from _firmware_problems(vm)
    yield from _panic_problems(vm)


def _growth_problems(vm: Part) -> Iterator[Problem]:
    most = vm.get("max_vcpu_num") or NUMA_MAX_CPUS
    if (vm.get("cpu_num") or 0) > most:
        message = "is more than the %d CPUs that use_numa supports" % most
        hint = "lower cpu_num, or set use_numa to false"
        if vm.get("max_vcpu_num"):
            message, hint = "is more than max_vcpu_num, which is %d" % most, "lower cpu_num, or raise max_vcpu_num"
        yield Problem("%s.cpu_num" % vm.option_path, message, hint=hint)
    limit = vm.get("max_memory")
    if (vm.get("memory") or 0) > (limit or NUMA_MAX_MEMORY):
        message = "is more than the 64 TiB that use_numa supports" if limit is None else "is more than max_memory"
        yield Problem("%s.memory" % vm.option_path, message, hint="lower memory, or set use_numa to false")
    if vm.get("max_vcpu_num") and vm.get("socket_num") and vm.get("cpu_on_socket") and vm.get("arch") != "aarch64":
        yield from _product_problems(vm, "max_vcpu_num")


def _topology_problems(vm: Part) -> Iterator[Problem]:
    if vm.get("cpu_num") and vm.get("socket_num") and vm.get("cpu_on_socket"):
        yield from _product_problems(vm, "cpu_num")


def _product_problems(vm: Part, name: str) -> Iterator[Problem]:
    factors = ["socket_num", "cpu_on_socket"]
    if (vm.get("threads_per_core") or 1) > 1:
        factors.append("threads_per_core")
    product = 1
    for factor in factors:
        product *= vm.get(factor)
    if product != vm.get(name):
        numbers = " × ".join(str(vm.get(factor)) for factor in factors)
        yield _problem(
            vm,
            name,
            "is %d, but %s is %s = %d" % (vm.get(name), " × ".join(factors), numbers, product),
            "leave socket_num and cpu_on_socket out for one socket with all CPUs",
        )


def _cpu_model_problems(vm: Part) -> Iterator[Problem]:
    mode = vm.get("nested_virtualization")
    if mode == "custom" and vm.get("cpu_model") is None and "cpu_model" not in vm.wrong:
        yield _problem(vm, "cpu_model", "is required with nested_virtualization custom")
    if mode not in (None, "custom") and vm.get("cpu_model") is not None:
        yield _problem(vm, "cpu_model", "needs nested_virtualization custom, not %s" % mode)
    if mode in ("none", "host-passthrough") and vm.get("cpu_vendor_id") is not None:
        yield _problem(vm, "cpu_vendor_id", "needs nested_virtualization custom or host-model, not %s" % mode)


def _pinning_problems(vm: Part) -> Iterator[Problem]:
    most = vm.get("cpu_num") or 0
    if vm.get("use_numa"):
        most = max(most, vm.get("max_vcpu_num") or NUMA_MAX_CPUS)
    yield from _twice(vm, "cpu_pinning", "vcpu")
    yield from _twice(vm, "io_threads", "id")
    for pin in vm.get("cpu_pinning") or ():
        if most and pin.get("vcpu") is not None and pin.get("vcpu") >= most:
            yield _problem(pin, "vcpu", "is %d, but the VM's CPUs are 0 to %d" % (pin.get("vcpu"), most - 1))


def _twice(vm: Part, name: str, key: str) -> Iterator[Problem]:
    first: dict[Any, Part] = {}
    for part in vm.get(name) or ():
        value = part.get(key)
        other = first.setdefault(value, part)
        if value is not None and other is not part:
            yield _problem(part, key, "is the same as %s.%s" % (other.option_path, key))


def _numa_problems(vm: Part) -> Iterator[Problem]:
    nodes = vm.get("numa_nodes")
    if not nodes:
        return
    if vm.get("use_numa"):
        yield _problem(vm, "numa_nodes", "cannot be used with use_numa, which has one NUMA node that can grow")
        return
    yield from _twice(vm, "numa_nodes", "id")
    if "numa_nodes" in vm.wrong:
        return
    ids = sorted(node.get("id") for node in nodes)
    if len(set(ids)) == len(ids) and ids != list(range(len(ids))):
        yield _problem(vm, "numa_nodes", "have the ids %s instead of 0 to %d" % (_listed(ids), len(ids) - 1))
    yield from _numa_cpu_problems(vm, nodes)
    total = sum(node.get("memory") for node in nodes)
    if vm.get("memory") and total != vm.get("memory"):
        message = "have %d bytes of memory together, but the VM has %d" % (total, vm.get("memory"))
        yield _problem(vm, "numa_nodes", message, "make the nodes' memory add up to memory")
    for node in nodes:
        yield from _distance_problems(node, len(nodes))


def _numa_cpu_problems(vm: Part, nodes: Iterable[Part]) -> Iterator[Problem]:
    owner: dict[int, Part] = {}
    for node in nodes:
        cpus = cpus_of(node.get("cpus"))
        shared = sorted(cpu for cpu in cpus if owner.setdefault(cpu, node) is not node)
        if shared:
            message = "has the CPUs %s, which %s has too" % (_listed(shared), owner[shared[0]].option_path)
            yield _problem(node, "cpus", message)
        beyond = sorted(cpu for cpu in cpus if vm.get("cpu_num") and cpu >= vm.get("cpu_num"))
        if beyond:
            yield _problem(node, "cpus", "has the CPUs %s, which the VM doesn't have" % _listed(beyond))
    missing = sorted(set(range(vm.get("cpu_num") or 0)) - set(owner))
    if missing:
        yield _problem(vm, "numa_nodes", "lack the CPUs %s" % _listed(missing), "give each CPU to one node")


def _distance_problems(node: Part, count: int) -> Iterator[Problem]:
    distances, own = node.get("distances"), node.get("id")
    if not distances:
        return
    if len(distances) != count:
        yield _problem(node, "distances", "are %d, but there are %d nodes" % (len(distances), count))
    elif own < count:
        for other, distance in enumerate(distances):
            if (distance == _OWN_DISTANCE) != (other == own):
                rule = "is 10" if other == own else "is more than 10"
                yield _problem(
                    node,
                    "distances[%d]" % other,
                    "is %d: the distance to %s node %s" % (distance, "its own" if other == own else "another", rule),
                )


def _firmware_problems(vm: Part) -> Iterator[Problem]:
    firmware = vm.get("firmware")
    if vm.get("secure_boot") and firmware in ("bios", "uefi_with_csm"):
        yield _problem(vm, "secure_boot", "needs firmware uefi", "set firmware to uefi, or secure_boot to false")
    if vm.get("loader_rom") is not None and firmware in ("uefi", "uefi_with_csm"):
        yield _problem(vm, "loader_rom", "is a BIOS, but firmware is %s" % firmware)


def _panic_problems(vm: Part) -> Iterator[Problem]:
    devices = vm.get("panic_devices") or []
    if len(set(devices)) != len(devices):
        yield _problem(vm, "panic_devices", "have a model twice", "list each model once")


def _problem(part: Part, name: str, message: str, hint: str = "") -> Problem:
    return Problem("%s.%s" % (part.option_path, name), message, hint=hint)


def _listed(numbers: Iterable[int]) -> str:
    shown = [str(number) for number in numbers]
    return ", ".join(shown[:8]) + (" and %d more" % (len(shown) - 8) if len(shown) > 8 else "")
