# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that must not be started on the desired host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.filter.placement_problems import FilterModule
from ansible_collections.zstack.kvm.plugins.filter.placement_problems import problems_of as placement_problems

of_play = FilterModule().filters()["placement_problems"]

WEB = "36c27e8f-f05c-4780-bf6d-2fa65700f22e"
DATABASE = "0f7a9a36-6b0e-4a1c-9d62-5b0a6f2d1c01"
HOSTS = ["hv1", "hv2", "hv3"]


def answer(host: str, *active: str, **identity: str) -> dict[str, Any]:
    return {"item": host, "uuid": f"uuid of {host}", "hostname": host, "active": list(active), **identity}


def checked(host: str, *active: str) -> dict[str, Any]:
    """Return the registered result of a check of a host's VMs."""
    seen = {"uuid": f"uuid of {host}", "hostname": host, "active": list(active)}
    return {"vms": [], "hypervisor": seen}


def silent(host: str, msg: str = "Failed to connect") -> dict[str, Any]:
    return {"item": host, "unreachable": True, "msg": msg}


def test_a_vm_that_runs_nowhere_may_be_started() -> None:
    assert placement_problems({"hv1": {WEB: "web"}}, [answer(host) for host in HOSTS], HOSTS) == []


def test_a_vm_that_runs_on_its_host_is_no_problem() -> None:
    answers = [answer("hv1", WEB), answer("hv2", DATABASE), answer("hv3")]
    assert placement_problems({"hv1": {WEB: "web"}, "hv2": {DATABASE: "database"}}, answers, HOSTS) == []


def test_a_vm_that_runs_on_another_hypervisor_is_named_with_both() -> None:
    answers = [answer("hv1"), answer("hv2", WEB), answer("hv3")]
    assert placement_problems({"hv1": {WEB: "web"}}, answers, HOSTS) == [
        f"VM web ({WEB}) is to run on hv1, but it is active on hv2"
    ]


@pytest.mark.parametrize("written", [WEB.replace("-", ""), WEB.upper()])
def test_uuids_are_compared_in_any_notation(written: str) -> None:
    (problem,) = placement_problems({"hv1": {written: "web"}}, [answer("hv1"), answer("hv2", WEB)], HOSTS[:2])
    assert problem.endswith("active on hv2")


def test_a_vm_that_runs_here_and_elsewhere_is_a_problem() -> None:
    answers = [answer("hv1", WEB), answer("hv2", WEB)]
    assert len(placement_problems({"hv1": {WEB: "web"}}, answers, HOSTS[:2])) == 1


def test_a_vm_that_is_wanted_on_two_hypervisors_is_a_problem() -> None:
    desired = {"hv1": {WEB: "web"}, "hv2": {WEB.replace("-", ""): "web"}, "hv3": {DATABASE: "database"}}
    assert placement_problems(desired, [answer(host) for host in HOSTS], HOSTS) == [
        f"VM web ({WEB}) is to run on hv1 and hv2 at once"
    ]


def test_vms_without_a_uuid_are_left_to_the_module() -> None:
    desired = {"hv1": {"": "web"}, "hv2": {"": "database"}}
    assert placement_problems(desired, [answer("hv1"), answer("hv2")], HOSTS[:2]) == []


def test_two_names_of_one_hypervisor_are_the_same_host() -> None:
    answers = [answer("hv1", WEB), answer("alias", WEB, uuid="uuid of hv1", hostname="hv1")]
    desired = {"hv1": {WEB: "web"}, "alias": {WEB: "web"}}
    assert placement_problems(desired, answers, ["hv1", "alias"]) == []


def test_cloned_hypervisors_with_the_same_uuid_are_two() -> None:
    answers = [answer("hv1"), answer("hv2", WEB, uuid="uuid of hv1")]
    assert len(placement_problems({"hv1": {WEB: "web"}}, answers, HOSTS[:2])) == 1


def test_a_hypervisor_that_does_not_answer_is_named_with_the_reason() -> None:
    failed = {"item": "hv3", "failed": True, "msg": "cannot open: no socket\n"}
    answers = [answer("hv1"), silent("hv2"), failed]
    assert placement_problems({"hv1": {WEB: "web"}}, answers, HOSTS) == [
        "hv2 cannot be queried for its running VMs: Failed to connect",
        "hv3 cannot be queried for its running VMs: cannot open: no socket",
    ]


def test_a_hypervisor_that_was_not_queried_is_named() -> None:
    assert placement_problems({"hv1": {WEB: "web"}}, [answer("hv1"), answer("hv2")], HOSTS) == [
        "hv3 cannot be queried for its running VMs"
    ]


@pytest.mark.parametrize("ignored", [True, "true", "yes", ["hv2", "hv3"], ("hv2", "hv3"), "hv2,hv3", "hv3 hv2"])
def test_unreachable_hypervisors_can_be_ignored(ignored: Any) -> None:
    answers = [answer("hv1"), silent("hv2"), silent("hv3")]
    assert placement_problems({"hv1": {WEB: "web"}}, answers, HOSTS, ignore_unreachable=ignored) == []


@pytest.mark.parametrize("ignored", [False, "false", "no", [], ["hv2"], "hv2", "hv1,hv2"])
def test_hypervisors_that_are_not_ignored_must_answer(ignored: Any) -> None:
    answers = [answer("hv1"), answer("hv2"), silent("hv3")]
    (problem,) = placement_problems({"hv1": {WEB: "web"}}, answers, HOSTS, ignore_unreachable=ignored)
    assert problem.startswith("hv3 cannot be queried")


def test_answers_of_ignored_hypervisors_count() -> None:
    answers = [answer("hv1"), answer("hv2", WEB)]
    assert len(placement_problems({"hv1": {WEB: "web"}}, answers, HOSTS[:2], ignore_unreachable=True)) == 1


@pytest.mark.parametrize("ignored", [{"hv2": True}, 7])
def test_other_values_of_ignore_unreachable_are_an_error(ignored: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="must be a list of hosts or a boolean"):
        placement_problems({}, [answer("hv1")], ["hv1"], ignore_unreachable=ignored)


def test_desired_vms_and_answers_are_read_from_variables() -> None:
    hosts = [
        {
            "inventory_hostname": "hv1",
            "zstack_vm_batches": [{"names": {WEB: "web"}}],
            "zstack_vms_checked": checked("hv1"),
        },
        {"inventory_hostname": "hv3"},
    ]
    placement = {"hypervisors": HOSTS, "unmatched": ["kvn"], "others": ["hv2"]}
    assert of_play(hosts, placement, {"results": [{"item": "localhost", "answers": [answer("hv2", WEB)]}]}) == [
        "zstack_hypervisors names kvn, which no host of the inventory matches",
        f"VM web ({WEB}) is to run on hv1, but it is active on hv2",
        "hv3 cannot be queried for its running VMs",
    ]


class TestOwnAnswers:
    """A host of the play has answered for itself."""

    def problems(self, *others: str, **hv2: Any) -> list[str]:
        hosts = [
            {
                "inventory_hostname": "hv1",
                "zstack_vm_batches": [{"names": {WEB: "web"}}],
                "zstack_vms_checked": checked("hv1"),
            },
            {"inventory_hostname": "hv2", **hv2},
        ]
        problems: list[str] = of_play(hosts, {"hypervisors": HOSTS[:2], "unmatched": [], "others": others})
        return problems

    def test_active_vms_count_if_its_vms_were_checked(self) -> None:
        assert self.problems(zstack_vms_checked=checked("hv2")) == []
        assert self.problems(zstack_vms_checked=checked("hv2", WEB)) == [
            f"VM web ({WEB}) is to run on hv1, but it is active on hv2"
        ]

    @pytest.mark.parametrize(("active", "number"), [(False, 0), (True, 1)])
    def test_active_vms_count_if_it_was_asked(self, active: bool, number: int) -> None:
        info = {"uuid": "uuid of hv2", "hostname": "hv2", "vms": [{"uuid": WEB, "name": "web", "active": active}]}
        assert len(self.problems(zstack_hypervisor_asked=info)) == number

    @pytest.mark.parametrize(
        ("result", "reason"), [({"unreachable": True, "msg": "No route to host"}, ": No route to host"), ({}, "")]
    )
    def test_one_that_did_not_answer_is_a_problem(self, result: dict[str, Any], reason: str) -> None:
        assert self.problems(zstack_vms_checked=result) == [f"hv2 cannot be queried for its running VMs{reason}"]

    def test_what_a_host_outside_the_play_answered_in_an_earlier_run_does_not_count(self) -> None:
        (problem,) = self.problems("hv2", zstack_vms_checked=checked("hv2"))
        assert problem == "hv2 cannot be queried for its running VMs"


class TestAnswersOfOthers:
    def problems(self, *results: dict[str, Any], others: tuple[str, ...] = ("hv2",)) -> list[str]:
        hv1 = {"zstack_vm_batches": [{"names": {WEB: "web"}}], "zstack_vms_checked": checked("hv1")}
        placement = {"hypervisors": HOSTS[:2], "unmatched": [], "others": others}
        problems: list[str] = of_play([{"inventory_hostname": "hv1", **hv1}], placement, {"results": results})
        return problems

    def test_a_query_that_was_only_started_is_no_answer(self) -> None:
        assert self.problems({"item": "hv2"}) == ["hv2 cannot be queried for its running VMs"]

    def test_a_query_that_could_not_be_started_is_named_with_the_reason(self) -> None:
        failed = {"item": "hv2", "failed": True, "msg": "'address_of_hv2' is undefined"}
        assert self.problems(failed, {"item": "localhost", "answers": []}) == [
            "hv2 cannot be queried for its running VMs: 'address_of_hv2' is undefined"
        ]

    def test_an_answer_never_replaces_that_of_a_host_of_the_play(self) -> None:
        answers = {"item": "localhost", "answers": [answer("hv2")]}
        assert self.problems(answers, others=()) == ["hv2 cannot be queried for its running VMs"]


class TestStartingHosts:
    HOSTS_OF_PLAY = [
        {"inventory_hostname": "hv1", "zstack_vm_batches": [{"names": {WEB: "web"}}]},
        {
            "inventory_hostname": "hv2",
            "zstack_vm_batches": [{"names": {WEB: "web"}}],
            "zstack_vms_checked": checked("hv2", DATABASE),
        },
    ]

    def problems(self, *hypervisors: str, starting: list[str]) -> list[str]:
        placement = {"hypervisors": hypervisors, "unmatched": [], "others": []}
        problems: list[str] = of_play(self.HOSTS_OF_PLAY, placement, starting=starting)
        return problems

    def test_vms_of_other_hosts_are_not_considered(self) -> None:
        assert self.problems("hv2", starting=["hv2"]) == []

    def test_answers_of_other_hosts_count(self) -> None:
        hosts = [
            {"inventory_hostname": "hv1", "zstack_vm_batches": [{"names": {DATABASE: "database"}}]},
            self.HOSTS_OF_PLAY[1],
        ]
        placement = {"hypervisors": ["hv1", "hv2"], "unmatched": [], "others": []}
        (problem, _hv1_is_silent) = of_play(hosts, placement, starting=["hv1"])
        assert problem.endswith("is to run on hv1, but it is active on hv2")

    def test_they_must_have_answered_even_if_they_are_no_hypervisors(self) -> None:
        assert self.problems("hv2", starting=["hv1"]) == ["hv1 cannot be queried for its running VMs"]
