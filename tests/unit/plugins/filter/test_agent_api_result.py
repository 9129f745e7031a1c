# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of the agent API for a VM that was to be started."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.agent_api_result import FilterModule

agent_api_result = FilterModule().filters()["agent_api_result"]


def failure(code: str) -> dict[str, Any]:
    error = {"code": code, "message": "there is no bridge br1", "hint": "Create it."}
    return {"failed": True, "msg": "1 of 1 VMs failed", "vms": [{"error": error}]}


def test_a_vm_that_was_started() -> None:
    assert agent_api_result({"failed": False, "vms": [{"name": "web"}]}) == {"success": True}


def test_a_vm_that_failed_has_message_and_hint() -> None:
    expected = {"success": False, "error": "there is no bridge br1 (Create it.)"}
    assert agent_api_result(failure("bridge_missing")) == expected


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("not_enough_memory", "No enough physical memory for guest"),
        ("qos_limit", "QoS exceed max limit, please check and reset it in zstack"),
    ],
)
def test_what_the_management_node_reads_is_in_the_agents_words(code: str, text: str) -> None:
    assert agent_api_result(failure(code))["error"] == text


@pytest.mark.parametrize("how", ["failed", "unreachable"])
def test_a_task_that_did_not_get_as_far_has_its_message(how: str) -> None:
    assert agent_api_result({how: True, "msg": "no route to host"}) == {"success": False, "error": "no route to host"}
