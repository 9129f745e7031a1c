# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets for the times, and whether they are met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .contenders import BARE, BARE_IN_TASK, COMMUNITY, NOTHING, OURS, RETURN_VMS, WITHOUT_VMS
from .measure import Measured
from .simulated import PING, PLAYBOOK, Cost
from .sizes import Sizes
from .workloads import CLONED, DEFINED, FLEET_RUNNING, FLEET_STARTED, NO_VM, RUNNING, STARTED, looked_at

# Repeated measurements differ by a few percent.
_NOISE = 1.1


@dataclass(frozen=True)
class Target:
    """One target; `measured` must be at most, or at least, `limit`.

    `floor` is what it would be if this collection did nothing for a VM, where that is measured; in a start, if it only
    did what libvirt-python alone does; in check mode, if it only looked, as libvirt-python alone does, read the
    options, built the domain and compared it.
    """

    what: str
    measured: float
    limit: float
    at_least: bool = False
    unit: str = "×"
    floor: float | None = None

    @property
    def met(self) -> bool:
        """Return whether the target is met."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def targets(
    measured: Sequence[Measured],
    compared: Mapping[str, float],
    memory: Mapping[str, int],
    costs: Sequence[Cost],
    sizes: Sizes,
) -> list[Target]:
    """Return all targets."""
    medians = {(each.workload, each.contender, each.vms): each.median for each in measured}
    started, running = sizes.started[-1], sizes.running[-1]
    nothing = medians[RUNNING, NOTHING.name, running]
    without_vms = medians[RUNNING, WITHOUT_VMS.name, running]
    bare, bare_clones = medians[STARTED, BARE.name, started], medians[CLONED, BARE.name, sizes.cloned]
    start = medians[STARTED, OURS.name, started]
    look = medians[RUNNING, OURS.name, running]
    fewest, most = sizes.defined[0], sizes.defined[-1]
    each_of_few, each_of_many = ((medians[DEFINED, OURS.name, count] - nothing) / count for count in (fewest, most))
    build_and_compare = 1000 * (compared["build"] + compared["compare"])
    # Each of these starts Python and connects to libvirt, as the task without VMs does.
    look_with_libvirt = medians[DEFINED, BARE.name, most] - medians[RUNNING, BARE.name, sizes.running[0]]
    check_without_work = medians[DEFINED, RETURN_VMS.name, most] - nothing + without_vms - nothing + look_with_libvirt
    return [
        Target(
            f"start of {started}, less a task that does nothing, against libvirt-python alone",
            (start - nothing) / bare,
            1.05,
            floor=(medians[STARTED, BARE_IN_TASK.name, started] - nothing + without_vms - nothing) / bare,
        ),
        Target(
            f"{sizes.cloned} linked clones created and started, less a task that does nothing, against qemu-img and "
            "libvirt-python alone",
            (medians[CLONED, OURS.name, sizes.cloned] - nothing) / bare_clones,
            1.15,
            floor=1 + (without_vms - nothing) / bare_clones,
        ),
        Target(
            f"start of {started}: community.libvirt against zstack.kvm",
            medians[STARTED, COMMUNITY.name, started] / start,
            3.5,
            at_least=True,
        ),
        Target(
            f"look at {running} running VMs against a task that does nothing",
            look / nothing,
            1.25,
            floor=without_vms / nothing,
        ),
        Target(
            f"look at {running} running VMs: community.libvirt against zstack.kvm",
            medians[RUNNING, COMMUNITY.name, running] / look,
            40,
            at_least=True,
        ),
        *_of_fleet(medians, sizes),
        Target(
            f"check mode of {most} VMs that are off, for each, less a task that does nothing",
            1000 * each_of_many,
            2.5,
            unit=" ms",
            floor=1000 * (check_without_work / most + sum(compared.values())),
        ),
        Target(
            f"time for each of {most} VMs against that for each of {fewest}, less a task that does nothing",
            each_of_many / each_of_few,
            _NOISE,
        ),
        Target("building and comparing a domain", build_and_compare, 2, unit=" ms"),
        Target(
            f"memory of the module's process, look at {running} running VMs",
            memory[looked_at(running)] / 1024,
            50,
            unit=" MiB",
            floor=memory[NO_VM] / 1024,
        ),
        *_of_simulated(costs),
    ]


def _of_fleet(medians: Mapping[tuple[str, str, int], float], sizes: Sizes) -> list[Target]:
    vms = sizes.hosts * sizes.vms_of_a_host
    nothing = medians[FLEET_RUNNING, NOTHING.name, vms]
    without_vms = medians[FLEET_RUNNING, WITHOUT_VMS.name, vms]
    bare = medians[FLEET_STARTED, BARE.name, vms]
    return [
        Target(
            f"start of {vms} on {sizes.hosts} hypervisors, less a task that does nothing, against libvirt-python alone",
            (medians[FLEET_STARTED, OURS.name, vms] - nothing) / bare,
            1.05,
            floor=(medians[FLEET_STARTED, BARE_IN_TASK.name, vms] - nothing + without_vms - nothing) / bare,
        ),
        Target(
            f"look at {vms} running VMs on {sizes.hosts} hypervisors against a task that does nothing",
            medians[FLEET_RUNNING, OURS.name, vms] / nothing,
            1.15,
            floor=without_vms / nothing,
        ),
    ]


def _of_simulated(costs: Sequence[Cost]) -> list[Target]:
    most = max(cost.hosts for cost in costs)
    of_most = {cost.what: cost for cost in costs if cost.hosts == most}
    playbook, ping = of_most[PLAYBOOK], of_most[PING]
    what = f"playbook start_vms, {playbook.hosts} simulated hypervisors, against a task that does nothing"
    return [
        Target(f"{what}: time", playbook.seconds / ping.seconds, 1.5),
        Target(f"{what}: memory", playbook.memory_kib / ping.memory_kib, 1.5),
    ]
