# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of a fleet that need attention, and the reasons."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.filter.fleet_report import fleet_report

UUID = "3f0b6c1e-0000-4000-8000-000000000001"
UP = {
    'uuid': 'h', 'hostname': 'hv1', 'cpus': 4, 'memory': {'total': 8, 'free': 4}, 'load_average': [1.0, 1.0, 1.0],
    'arch': 'x86_64', 'libvirt_version': '9.0.0', 'qemu_version': '7.2.0', 'domain_types': ['kvm'],
}  # fmt: skip


def reported(**facts: Any) -> dict[str, Any]:
    """Return an entry of zstack_vm_info, of a running VM unless other facts are given."""
    return {"uuid": UUID, "name": "web", "state": "running", "reason": "booted", "cpus": 2, "memory": 3, **facts}


def host(name: str = "hv1", vms: Optional[list[dict[str, Any]]] = None, **other: Any) -> dict[str, Any]:
    """Return a hypervisor that is up and has reported these VMs, unless other facts are given."""
    answer = {"vms": vms} if vms is not None else {"failed": True, "msg": "libvirt hangs"}
    return {"name": name, "hypervisor": UP, "vms": answer, "wanted": {}, "problem": "", **other}


def marks(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(mark["level"], mark["text"]) for mark in row["marks"]]


@pytest.mark.parametrize(
    ("facts", "described", "level", "expected"),
    [
        ({}, True, "ok", []),
        ({"state": "shutoff"}, False, "off", []),
        ({"state": "shutoff"}, True, "bad", [("bad", "should run")]),
        ({"state": "absent"}, True, "bad", [("bad", "absent")]),
        ({"state": "crashed"}, False, "bad", [("bad", "crashed")]),
        ({"state": "paused", "reason": "user"}, False, "warn", [("warn", "paused")]),
        ({"state": "paused", "reason": "ioerror"}, False, "bad", [("bad", "I/O error")]),
        ({"state": "unknown"}, False, "bad", [("bad", "unknown")]),
        ({"qemu_hangs": True}, False, "bad", [("bad", "QEMU hangs")]),
        ({"cloud_init": {"state": "failed"}}, False, "bad", [("bad", "cloud-init failed")]),
        ({"cloud_init": {"state": "running"}}, False, "ok", [("info", "cloud-init running")]),
        ({"cloud_init": {"state": "done"}}, False, "ok", []),
        ({"in_sync": False}, True, "warn", [("warn", "not in sync")]),
        ({"restart_required": True}, False, "warn", [("warn", "restart due")]),
        ({"error": {"code": "image_missing", "message": "m", "hint": "h"}}, True, "bad", [("bad", "image_missing")]),
    ],
)
def test_levels_and_marks_of_a_vm(
    facts: dict[str, Any], described: bool, level: str, expected: list[tuple[str, str]]
) -> None:
    desired = {UUID.replace("-", "").upper(): "web"} if described else {}
    (row,) = fleet_report([host(vms=[reported(**facts)], wanted=desired)])["vms"]
    assert (row["level"], marks(row), row["described"]) == (level, expected, described)


def test_a_vm_that_is_active_on_two_hypervisors_needs_attention_on_both() -> None:
    report = fleet_report([host(name, [reported()]) for name in ("hv1", "hv2")])
    assert [(row['hypervisor'], marks(row)) for row in report['vms']] == [
        ('hv1', [('bad', 'active on hv2 too')]), ('hv2', [('bad', 'active on hv1 too')]),
    ]  # fmt: skip
    assert [row["needs_attention"] for row in report["hypervisors"]] == [1, 1]


def test_the_source_of_a_migration_needs_no_attention() -> None:
    report = fleet_report([host("hv1", [reported(state="shutoff", reason="migrated")]), host("hv2", [reported()])])
    assert {row["level"] for row in report["vms"]} == {"ok", "off"}


@pytest.mark.parametrize(
    ("facts", "described", "drift"),
    [
        ({"in_sync": True}, True, "in sync"),
        ({"in_sync": False}, True, "not in sync"),
        ({"in_sync": None}, True, "not compared"),
        ({"in_sync": None}, False, "not described"),
        ({"state": "absent"}, True, "not in sync"),
    ],
)
def test_the_outcome_of_the_comparison(facts: dict[str, Any], described: bool, drift: str) -> None:
    (row,) = fleet_report([host(vms=[reported(**facts)], wanted={UUID: "web"} if described else {})])["vms"]
    assert row["drift"] == drift


@pytest.mark.parametrize(
    ("answer", "mark"),
    [({"unreachable": True, "msg": "no route"}, "unreachable"), ({"failed": True, "msg": "no route"}, "down")],
)
def test_a_hypervisor_that_is_down_comes_first_and_its_vms_are_unknown(answer: dict[str, Any], mark: str) -> None:
    report = fleet_report(
        [
            host("hv1", [reported()]),
            host("hv2", hypervisor=answer, wanted={UUID: "mail"}),
        ]
    )
    down = report["hypervisors"][0]
    assert (down["name"], marks(down), down["message"]) == ("hv2", [("bad", mark)], "no route")
    assert [(vm['hypervisor'], vm['name'], vm['state']) for vm in report['vms']] == [
        ('hv2', 'mail', 'unknown'), ('hv1', 'web', 'running'),
    ]  # fmt: skip
    assert report["summary"]["hypervisors_down"] == ["hv2"]


def test_a_hypervisor_without_vm_information_has_the_reason_and_is_not_down() -> None:
    report = fleet_report([host()])
    (row,) = report["hypervisors"]
    assert (marks(row), row["message"], row["level"]) == ([("bad", "VMs unknown")], "libvirt hangs", "bad")
    assert report["summary"]["hypervisors_down"] == []


def test_a_wrong_description_is_reported_beside_the_vms() -> None:
    report = fleet_report([host(vms=[reported()], problem="vms[0].memory: is missing")])
    (row,) = report["hypervisors"]
    assert (marks(row), row["message"]) == ([("warn", "not compared")], "vms[0].memory: is missing")
    assert [vm["name"] for vm in report["vms"]] == ["web"]


def test_a_hypervisor_has_the_sum_of_the_vms_that_run() -> None:
    vms = [reported(), reported(uuid="2", state="paused"), reported(uuid="3", state="shutoff")]
    (row,) = fleet_report([host(vms=vms)])["hypervisors"]
    assert (row["vms"], row["active"], row["vm_cpus"], row["vm_memory"]) == (3, 2, 4, 6)


def test_vms_of_the_previous_run_are_marked_and_expected() -> None:
    workflow = [
        {"uuid": UUID, "name": "web", "host": "hv1", "changed": True},
        {"uuid": "gone", "name": "gone", "host": "hv1", "changed": False, "error": "image_missing: no image"},
        {"uuid": "other", "name": "other", "host": "hv2", "changed": False},
    ]
    gone, web = fleet_report([host(vms=[reported()])], workflow)["vms"]
    assert (web["name"], marks(web), web["level"]) == ("web", [("info", "changed in this run")], "ok")
    assert (gone["name"], marks(gone)) == ("gone", [("bad", "absent"), ("bad", "failed in this run")])
    assert gone["messages"] == ["image_missing: no image"]


def test_rows_are_sorted_by_urgency_then_naturally_by_name() -> None:
    vms = [reported(uuid=name, name=name) for name in ("b10", "b9", "a")] + [
        reported(uuid="z", name="z", state="crashed")
    ]
    assert [vm["name"] for vm in fleet_report([host(vms=vms)])["vms"]] == ["z", "a", "b9", "b10"]


@pytest.mark.parametrize(("thumbnail", "kept"), [("iVBORw0=", True), ('"><script>', False), (None, False)])
def test_a_thumbnail_that_is_not_base64_is_dropped(thumbnail: Optional[str], kept: bool) -> None:
    (row,) = fleet_report([host(vms=[reported(thumbnail=thumbnail)])])["vms"]
    assert row["thumbnail"] == (thumbnail if kept else None)


def test_an_empty_fleet_has_a_report() -> None:
    report = fleet_report([])
    assert (report["hypervisors"], report["vms"], report["summary"]["vms"]) == ([], [], 0)


def test_names_with_digits_of_any_number_and_script_are_sorted() -> None:
    names = ["vm2", "vm010", "vm" + "1" * 5000, "vm\u00b2", "vm\u0661"]
    rows = fleet_report([host(vms=[reported(name=name) for name in reversed(names)])])["vms"]
    assert [row["name"] for row in rows] == names
