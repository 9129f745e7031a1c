# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that have yet to query hypervisors after their own VMs were checked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.hosts_that_ask import FilterModule

hosts_that_ask = FilterModule().filters()["hosts_that_ask"]

ANSWER = {"hypervisor": {"uuid": "uuid of hv1", "hostname": "hv1", "active": []}}


def host(asked_by: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    return {"zstack_placement": {"asked_by": asked_by}, **more}


def test_one_that_has_answered_for_itself_asks_the_others_of_its_share() -> None:
    assert hosts_that_ask(["hv1"], {"hv1": host({"hv1": ["hv1", "hv4"]}, zstack_vms_checked=ANSWER)}) == ["hv1"]
    assert hosts_that_ask(["hv1"], {"hv1": host({"hv1": ["hv1"]}, zstack_vms_checked=ANSWER)}) == []


def test_one_whose_vms_were_not_checked_asks_itself() -> None:
    assert hosts_that_ask(["hv1"], {"hv1": host({"hv1": ["hv1"]}, zstack_vms_checked={"skipped": True})}) == ["hv1"]


@pytest.mark.parametrize("hostvars", [{}, {"hv1": {}}, {"hv1": host({"hv2": ["hv1", "hv2"]})}])
def test_hosts_without_a_share_ask_nothing(hostvars: dict[str, Any]) -> None:
    assert hosts_that_ask(["hv1"], hostvars) == []


def test_only_the_given_hosts_ask() -> None:
    assert hosts_that_ask(["hv2"], {"hv1": host({"hv1": ["hv1"]})}) == []
