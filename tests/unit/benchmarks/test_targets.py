# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets of the benchmarks: what is compared, and when a target is met."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.tests.benchmarks.contenders import (
    BARE,
    BARE_IN_TASK,
    COMMUNITY,
    NOTHING,
    OURS,
    RETURN_VMS,
    WITHOUT_VMS,
)
from ansible_collections.zstack.kvm.tests.benchmarks.measure import Measured
from ansible_collections.zstack.kvm.tests.benchmarks.simulated import PING, PLAYBOOK, Cost
from ansible_collections.zstack.kvm.tests.benchmarks.sizes import Sizes
from ansible_collections.zstack.kvm.tests.benchmarks.targets import Target, targets
from ansible_collections.zstack.kvm.tests.benchmarks.workloads import (
    CLONED,
    DEFINED,
    FLEET_RUNNING,
    FLEET_STARTED,
    NO_VM,
    RUNNING,
    STARTED,
    looked_at,
)

SIZES = Sizes()
FLEET = SIZES.hosts * SIZES.vms_of_a_host


def target(words: str, **seconds_of_clones: float) -> Target:
    """Return the target with this text.

    Nothing takes 1 second, no VMs 1.5, returning them 3, a look of libvirt-python alone at one VM 9, libvirt-python in
    a task 12, and the rest 10.
    """
    counts = {
        STARTED: [SIZES.started[-1]],
        CLONED: [SIZES.cloned],
        RUNNING: [SIZES.running[-1]],
        DEFINED: [SIZES.defined[0], SIZES.defined[-1]],
        FLEET_STARTED: [FLEET],
        FLEET_RUNNING: [FLEET],
    }
    contenders = {
        BARE.name: 10.0,
        BARE_IN_TASK.name: 12.0,
        COMMUNITY.name: 10.0,
        NOTHING.name: 1.0,
        WITHOUT_VMS.name: 1.5,
        RETURN_VMS.name: 3.0,
        OURS.name: 10.0,
    }
    measured = [
        Measured(workload, name, count, [seconds])
        for workload, numbers in counts.items()
        for count in numbers
        for name, seconds in (contenders if workload != CLONED else {**contenders, **seconds_of_clones}).items()
    ]
    measured.append(Measured(RUNNING, BARE.name, SIZES.running[0], [9.0]))
    costs = [Cost(what, 200, seconds, 1.0, 1000) for what, seconds in ((PLAYBOOK, 2.5), (PING, 1.0))]
    memory = {looked_at(SIZES.running[-1]): 2048, NO_VM: 1024}
    found = targets(measured, {"read": 0.00025, "build": 0.001, "compare": 0.0005}, memory, costs, SIZES)
    (one,) = (each for each in found if words in each.what)
    return one


@pytest.mark.parametrize(("seconds", "met"), [(12.5, True), (12.6, False)])
def test_linked_clones_take_at_most_15_percent_more_than_qemu_img_and_libvirt_alone(seconds: float, met: bool) -> None:
    found = target("100 linked clones created and started", **{OURS.name: seconds})
    assert (found.measured, found.limit) == (pytest.approx((seconds - 1) / 10), 1.15)
    assert found.met is met


def test_a_target_of_at_least_is_met_by_more() -> None:
    assert Target("", 3.5, 3.5, at_least=True).met
    assert not Target("", 3.4, 3.5, at_least=True).met


@pytest.mark.parametrize(
    ("words", "floor"),
    [
        ("linked clones", 1.05),
        ("look at 100 running VMs against a task", 1.5),
        ("look at 40", 1.5),
        ("memory of the module", 1),
    ],
)
def test_the_floor_is_what_is_left_if_nothing_is_done_for_a_vm(words: str, floor: float) -> None:
    assert target(words).floor == pytest.approx(floor)


@pytest.mark.parametrize("words", ["start of 50, less", "start of 40"])
def test_the_floor_of_a_start_is_what_libvirt_python_in_a_task_and_a_task_without_vms_take(words: str) -> None:
    libvirt_python_in_task, without_vms = 11, 0.5
    assert target(words).floor == pytest.approx((libvirt_python_in_task + without_vms) / 10)


def test_the_playbook_is_compared_with_a_task_that_does_nothing() -> None:
    found = target("simulated hypervisors, against a task that does nothing: time")
    assert (found.measured, found.limit) == (2.5, 1.5)


def test_the_floor_of_check_mode_is_what_must_be_done_for_a_vm() -> None:
    without_work, look_with_libvirt, work = 2.5, 1, 1.75
    assert target("check mode").floor == pytest.approx(without_work + look_with_libvirt + work)
