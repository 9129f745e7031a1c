# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection variables that Ansible evaluates for the wrong host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.zstack.kvm.plugins.plugin_utils.delegation import wrong_variables

TEMPLATE = "{{ inventory_hostname }}.lan"


def undefined(_template: Any) -> str:
    raise AnsibleError("undefined")


def test_one_with_another_value_in_a_delegated_task_is_wrong() -> None:
    assert wrong_variables({"ansible_host": "hv2.lan"}, {"ansible_host": TEMPLATE}, lambda _: "hv1.lan") == [
        "ansible_host"
    ]


def test_one_with_the_same_value_is_right() -> None:
    assert wrong_variables({"ansible_user": "root"}, {"ansible_user": "{{ user }}"}, lambda _: "root") == []


def test_one_that_only_one_of_the_two_can_evaluate_is_wrong() -> None:
    delegated = {"ansible_host": "{{ addresses[inventory_hostname] }}"}
    assert wrong_variables({"ansible_host": "10.0.0.2"}, delegated, undefined) == ["ansible_host"]
    assert wrong_variables({}, delegated, lambda _: "10.0.0.1") == ["ansible_host"]


def test_one_that_nobody_can_evaluate_is_left_to_the_connection() -> None:
    assert wrong_variables({}, {"ansible_host": "{{ nope }}"}, undefined) == []


@pytest.mark.parametrize("delegated", [{"zstack_uri": TEMPLATE}, {"ansible_host": "hv2"}, {"ansible_facts": {}}])
def test_what_is_no_template_of_a_connection_is_not_evaluated(delegated: dict[str, Any]) -> None:
    assert wrong_variables({}, delegated, lambda _: pytest.fail("evaluated")) == []
