# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cputune): the VM's share of CPU time."""

from __future__ import annotations

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .context import BuildContext
from .elements import add

# cgroup v1 shares and cgroup v2 weights: lowest, highest, default. cgroup v2 takes 1 too, but libvirt never does.
_SHARES = (2, 262144, 1024)
_WEIGHTS = (2, 10000, 100)


def add_cpu_tuning(domain: etree._Element, context: BuildContext) -> None:
    """Add the CPU shares, if the host's cgroups support them."""
    if not context.host.has_cpu_shares:
        return
    shares = context.vm.cpu_speed * context.vm.cpu_num
    add(add(domain, "cputune"), "shares", str(scaled_shares(shares, context.host.cgroup_version)))


def scaled_shares(shares: int, cgroup_version: int) -> int:
    """Return the shares in the unit of the host's cgroups. The default of version 1 maps to that of version 2."""
    lowest, highest, default = _SHARES
    if cgroup_version == 2:
        lowest, highest, scaled_default = _WEIGHTS
        shares = shares * scaled_default // default
    return min(max(shares, lowest), highest)
