# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors that a host has yet to query after its own VMs were checked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.hypervisors_without_answer import FilterModule

without_answer = FilterModule().filters()["hypervisors_without_answer"]

ANSWER = {"vms": [], "hypervisor": {"uuid": "uuid of hv1", "hostname": "hv1", "active": []}}


@pytest.mark.parametrize("result", [ANSWER, {"unreachable": True, "msg": "No route to host"}])
def test_a_host_that_has_answered_or_is_unreachable_is_not_asked_again(result: dict[str, Any]) -> None:
    assert without_answer(["hv1", "hv4"], "hv1", result) == ["hv4"]


@pytest.mark.parametrize(
    "checked",
    [
        {"skipped": True},
        {"msg": "zstack_vms: must be a mapping of options"},
        {"vms": [{"error": {"code": "libvirt_unavailable"}}]},
        {"hypervisor": {}},
    ],
)
def test_a_host_whose_check_said_nothing_is_asked(checked: dict[str, Any]) -> None:
    assert without_answer(["hv1", "hv4"], "hv1", checked) == ["hv1", "hv4"]
