# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read answers of hypervisors: their active VMs, or why they could not be asked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.answers import (
    answer_of,
    answers_of_loop,
    not_answered,
    own_answer,
)

ANSWER = {"item": "hv1", "uuid": "uuid of hv1", "hostname": "hv1", "active": ["uuid of web"]}
INFO = {
    "uuid": "uuid of hv1",
    "hostname": "hv1",
    "vms": [{"uuid": "uuid of web", "active": True}, {"uuid": "uuid of a VM that is off", "active": False}],
}
SEEN = {"uuid": "uuid of hv1", "hostname": "hv1", "active": ["uuid of web"]}


class TestAnswer:
    def test_it_has_the_active_vms(self) -> None:
        assert answer_of("hv1", INFO) == ANSWER

    def test_a_failure_has_the_reason(self) -> None:
        assert answer_of("hv1", {"failed": True, "msg": "no socket"}) == {"item": "hv1", "msg": "no socket"}

    def test_what_a_failure_has_seen_is_no_answer(self) -> None:
        assert "active" not in answer_of("hv1", {**INFO, "failed": True, "msg": "lost"})

    def test_the_reason_has_the_last_line_that_was_printed_instead_of_a_result(self) -> None:
        printed = "Traceback\n  …\nImportError: no module \x1b[1mjson\n\n"
        answer = answer_of("hv1", {"failed": True, "msg": "No start of json char found", "module_stderr": printed})
        assert answer["msg"] == "No start of json char found (ImportError: no module \N{REPLACEMENT CHARACTER}json)"


class TestOwnAnswer:
    @pytest.mark.parametrize(
        "variables",
        [
            {"zstack_vms_checked": {"vms": [], "hypervisor": SEEN}},
            {"zstack_vms_checked": {"failed": True, "msg": "a problem in the input"}, "zstack_hypervisor_asked": INFO},
        ],
    )
    def test_it_is_in_the_check_of_its_vms_or_it_was_asked(self, variables: dict[str, Any]) -> None:
        assert own_answer("hv1", variables) == ANSWER

    @pytest.mark.parametrize("of", ["zstack_vms_checked", "zstack_hypervisor_asked"])
    def test_an_unreachable_host_has_given_its_reason(self, of: str) -> None:
        variables = {of: {"unreachable": True, "msg": "no route"}}
        assert own_answer("hv1", variables) == {"item": "hv1", "msg": "no route"}

    @pytest.mark.parametrize(
        "checked", [None, {}, {"skipped": True}, {"failed": True, "msg": "a problem in the input"}]
    )
    def test_all_else_is_no_answer(self, checked: Any) -> None:
        assert own_answer("hv1", {"zstack_vms_checked": checked, "zstack_hypervisor_asked": {}}) is None


class TestLoop:
    def test_the_answers_are_in_the_item_that_waits_for_them(self) -> None:
        results = [{"item": "hv1"}, {"item": "localhost", "failed": True, "msg": "hv2 …", "answers": [ANSWER]}]
        assert ANSWER in answers_of_loop({"results": results})

    def test_an_item_that_failed_before_its_query_has_the_reason(self) -> None:
        results = [{"item": "hv2", "unreachable": True, "msg": "no such user"}]
        assert list(answers_of_loop({"results": results})) == [{"item": "hv2", "msg": "no such user"}]

    @pytest.mark.parametrize("registered", [None, {}, {"skipped": True}, {"results": []}])
    def test_without_a_loop_there_are_none(self, registered: Any) -> None:
        assert list(answers_of_loop(registered)) == []


@pytest.mark.parametrize(("msg", "reason"), [({"msg": " no route\n"}, ": no route"), ({"msg": ""}, ""), ({}, "")])
def test_a_hypervisor_that_has_not_answered_is_named_with_the_reason(msg: dict[str, str], reason: str) -> None:
    assert not_answered({"item": "hv1", **msg}) == "hv1 cannot be queried for its running VMs" + reason
