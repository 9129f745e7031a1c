# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for people and workflows after a play that started VMs."""

from __future__ import annotations

from typing import Any

from ansible_collections.zstack.kvm.plugins.filter.started_vms import FilterModule

started_vms = FilterModule().filters()["started_vms"]


def vm(name: str, **more: Any) -> dict[str, Any]:
    console = {"type": "vnc", "host": "127.0.0.1", "port": 5900}
    entry = {"uuid": f"uuid of {name}", "name": name, "state": "running", "console": console}
    return {**entry, "changed": True, "restart_required": False, "actions": ["define", "start"], **more}


def host(name: str, *results: dict[str, Any]) -> dict[str, Any]:
    return {"inventory_hostname": name, "zstack_vms_started": {"results": list(results)}}


FAILED = vm(
    "mail",
    state="shutoff",
    console=None,
    changed=False,
    actions=[],
    error={"code": "bridge_missing", "message": "there is no bridge br1", "hint": "Create it."},
)


def test_vms_are_in_a_table_and_their_errors_below_it() -> None:
    summary = started_vms([host("hv1", {"vms": [vm("web", restart_required=True)]}, {"vms": [FAILED]})])
    assert summary["lines"] == [
        "host  VM    state            console               changed  restart due",
        "hv1   web   running          vnc://127.0.0.1:5900  yes      yes",
        "hv1   mail  shutoff, failed  -                     no       no",
        "hv1, mail: there is no bridge br1 (Create it.)",
    ]


def test_hosts_without_vms_are_in_it_with_the_reason() -> None:
    summary = started_vms(
        [
            {"inventory_hostname": "hv1", "zstack_vms_started": {"skipped": True, "results": []}},
            {"inventory_hostname": "hv2"},
            host("hv3", {"unreachable": True, "msg": "no route"}),
            host("hv4", {"failed": True, "msg": "a problem in the input"}),
        ]
    )
    assert summary["lines"] == [
        "host  VM  state             console  changed  restart due",
        "hv1   -   nothing to start  -        -        -",
        "hv2   -   not asked         -        -        -",
        "hv3   -   unreachable       -        -        -",
        "hv4   -   failed            -        -        -",
        "hv3: no route",
        "hv4: a problem in the input",
    ]


def test_the_next_node_of_a_workflow_gets_no_more_than_it_needs() -> None:
    assert started_vms([host("hv1", {"vms": [FAILED]})])["vms"] == [
        {
            "uuid": "uuid of mail",
            "name": "mail",
            "host": "hv1",
            "state": "shutoff",
            "changed": False,
            "actions": [],
            "restart_required": False,
            "error": "there is no bridge br1",
        }
    ]


def test_names_and_messages_are_cleaned_for_the_table() -> None:
    vm = {**FAILED, "name": "ma\nil\x1b[2J", "error": {"message": "no \x9bimage", "hint": ""}}
    lines = started_vms([host("hv1", {"vms": [vm]})])["lines"]
    assert [line for line in lines if "il" in line] == [
        "hv1   ma il\ufffd  shutoff, failed  -        no       no",
        "hv1, ma il\ufffd: no \ufffdimage",
    ]


def test_vms_that_were_in_sync_are_shown_as_they_were_checked() -> None:
    skipped = {"skipped": True, "item": {"in_sync": True, "names": {"UUID OF WEB": "web"}}}
    checked = [vm("mail", state="shutoff", console=None), vm("web", changed=False, actions=[])]
    both = {**host("hv1", skipped, {"vms": [vm("mail")]}), "zstack_vms_checked": {"vms": checked}}
    summary = started_vms([both])
    assert summary["lines"][1:] == [
        "hv1   web   running  vnc://127.0.0.1:5900  no       no",
        "hv1   mail  running  vnc://127.0.0.1:5900  yes      no",
    ]
    assert [each["changed"] for each in summary["vms"]] == [False, True]
