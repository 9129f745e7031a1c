# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(vcpu): how many CPUs the VM has, and how many it can have while it runs."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._host.capabilities import is_q35
from .context import BuildContext
from .elements import add

# With online growth: the topology that ZStack uses.
GROWN_CORES = 4


GROWN_CPUS = 128


# A PC's interrupts have 8 bits for the CPU; an IOMMU translates more.
PLAIN_PC_CPUS = 255


def max_cpus(context: BuildContext) -> int:
    """Return how many CPUs the VM can have while it runs."""
    vm = context.vm
    return (vm.max_vcpu_num or GROWN_CPUS) if vm.use_numa else vm.cpu_num


def add_vcpus(domain: etree._Element, context: BuildContext) -> None:
    """Add the maximum and, with online growth, the current number of CPUs."""
    most = max_cpus(context)
    vcpu = add(domain, "vcpu", str(most), placement="static")
    if context.vm.use_numa:
        vcpu.set("current", str(context.vm.cpu_num))
    limit = _limit(context)
    if limit is not None and most > limit:
        context.missing.append(
            Problem(
                context.option_path("use_numa" if context.vm.use_numa else "cpu_num"),
                "%d CPUs are more than the %d that the machine %s supports" % (most, limit, context.kind.machine),
                "unsupported_device",
                "lower cpu_num" if not context.vm.use_numa else "set use_numa to false",
            )
        )


def _limit(context: BuildContext) -> Optional[int]:
    known = context.capabilities.max_cpus
    if context.is_aarch64 or is_q35(context.kind.machine):
        return known
    return PLAIN_PC_CPUS if known is None else min(known, PLAIN_PC_CPUS)
