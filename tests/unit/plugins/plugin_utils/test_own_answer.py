# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor whose VMs were checked has answered which VMs it runs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.own_answer import own_answer

SEEN = {"uuid": "uuid of hv1", "hostname": "hv1", "active": ["uuid of web"]}


def test_its_answer_has_the_form_of_an_answer_to_a_question() -> None:
    active = [{"uuid": "uuid of web", "active": True}]
    expected = {"item": "hv1", "uuid": "uuid of hv1", "hostname": "hv1", "vms": active}
    assert own_answer("hv1", {"vms": [], "hypervisor": SEEN}) == expected


def test_an_unreachable_host_has_given_its_reason() -> None:
    assert own_answer("hv1", {"unreachable": True, "msg": "no route"}) == {"item": "hv1", "msg": "no route"}


@pytest.mark.parametrize("checked", [None, {}, {"skipped": True}, {"failed": True, "msg": "a problem in the input"}])
def test_all_else_is_no_answer(checked: Any) -> None:
    assert own_answer("hv1", checked) is None
