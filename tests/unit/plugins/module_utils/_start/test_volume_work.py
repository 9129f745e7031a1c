# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work that is planned on volumes, by the state of the VM and by policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.power import Start
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Plan, Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.volume_work import VolumeWork, with_volumes

CREATE: Any = "create"
GROW: Any = "grow"
DEFINE: Any = "define"
SIZE = Difference("devices/disk[target=vda]/size", "1", "2")
WORK = VolumeWork(creations=[CREATE], growths=[GROW], growing=[SIZE], differences=[SIZE], warnings=["larger"])
NOTHING = Plan(definition=(), changes=(), differences=(), warnings=(), restart_required=False)
STARTS = NOTHING._replace(definition=(DEFINE,), changes=(Start(),))
OFF = ObservedVm(state="shutoff")
RUNS = ObservedVm(state="running")


def planned(plan: Plan, seen: ObservedVm, starts: bool, **policy: Any) -> Plan:
    return with_volumes(plan, WORK, seen, Policy(**policy), starts)


def test_what_starts_gets_new_volumes_first_and_larger_ones_before_the_start() -> None:
    plan = planned(STARTS, OFF, starts=True)
    assert plan.actions == (CREATE, DEFINE, GROW, STARTS.changes[0])
    assert (plan.differences, plan.beside, plan.warnings) == ((SIZE,), (SIZE,), ("larger",))


def test_what_runs_gets_larger_volumes_last() -> None:
    live = NOTHING._replace(definition=(DEFINE,), changes=("attach",))
    assert planned(live, RUNS, starts=False).actions == (CREATE, DEFINE, "attach", GROW)


def test_what_runs_and_is_not_redefined_gets_no_new_volume() -> None:
    assert planned(NOTHING, RUNS, starts=False).actions == (GROW,)


@pytest.mark.parametrize("on_drift", ["ignore", "fail"])
def test_what_runs_and_is_to_be_left_gets_neither(on_drift: str) -> None:
    plan = planned(NOTHING, RUNS, starts=False, on_drift=on_drift)
    assert (plan.actions, plan.differences) == ((), (SIZE,))


def test_what_is_suspended_to_disk_gets_larger_volumes_when_it_has_been_restored() -> None:
    plan = planned(STARTS, replace(OFF, saved=True), starts=True)
    assert (GROW in plan.actions, plan.beside) == (False, ())
    assert "its volumes are grown when it has been restored" in plan.warnings[-1]


def test_only_the_missing_images_of_volumes_with_create_are_explained() -> None:
    work = VolumeWork(explained={"vms[0].root_volume.install_path"})
    missing = Problem("vms[0].root_volume.install_path", "is missing", "image_missing")
    locked = missing._replace(code="image_locked")
    other = missing._replace(option_path="vms[0].data_volumes[0].install_path")
    assert list(work.unexplained([missing, locked, other])) == [locked, other]
