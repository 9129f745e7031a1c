# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors of a play that have yet to answer after their own VMs were checked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.hypervisors_without_answer import FilterModule

without_answer = FilterModule().filters()["hypervisors_without_answer"]

ANSWER = {"vms": [], "hypervisor": {"uuid": "uuid of hv1", "hostname": "hv1", "active": []}}


def hv1(checked: Any = None, others: tuple[str, ...] = (), hypervisors: tuple[str, ...] = ("hv1",)) -> dict[str, Any]:
    placement = {"hypervisors": hypervisors, "others": others}
    return {"hv1": {"zstack_placement": placement, "zstack_vms_checked": checked}}


@pytest.mark.parametrize("checked", [ANSWER, {"unreachable": True, "msg": "No route to host"}])
def test_one_that_has_answered_or_is_unreachable_is_not_asked_again(checked: dict[str, Any]) -> None:
    assert without_answer(["hv1"], hv1(checked)) == []


@pytest.mark.parametrize(
    "checked",
    [
        None,
        {"skipped": True},
        {"msg": "zstack_vms: must be a mapping of options"},
        {"vms": [{"error": {"code": "libvirt_unavailable"}}]},
        {"hypervisor": {}},
    ],
)
def test_one_whose_check_said_nothing_is_asked(checked: Any) -> None:
    assert without_answer(["hv1"], hv1(checked)) == ["hv1"]


def test_one_outside_the_play_does_not_ask_itself() -> None:
    assert without_answer(["hv1"], hv1(others=("hv1",))) == []


@pytest.mark.parametrize("hostvars", [{}, {"hv1": {}}, hv1(hypervisors=("hv2",))])
def test_a_host_that_is_no_hypervisor_of_the_play_is_not_asked(hostvars: dict[str, Any]) -> None:
    assert without_answer(["hv1"], hostvars) == []


def test_only_the_given_hosts_are_asked() -> None:
    assert without_answer(["hv2"], hv1()) == []
