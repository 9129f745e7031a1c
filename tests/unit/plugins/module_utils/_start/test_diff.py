# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diff shows all that the actions change, and nothing that they leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.power import Resume, Start, Stop
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._start.diff import show_diff
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Drift, Plan, Policy, plan_vm
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import MASK, of_vm
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

OLD, NEW = "<domain><vcpu>1</vcpu></domain>", "<domain><vcpu>2</vcpu></domain>"
OLD_TEXT, NEW_TEXT = (text.replace("<vcpu>", "\n  <vcpu>").replace("</d", "\n</d") + "\n" for text in (OLD, NEW))
OFF = ObservedVm("shutoff", name="vm", persistent=True, inactive_xml=OLD)
RUNS = replace(OFF, state="running", live_xml=OLD)
CPUS = Difference("vcpu", "1", "2")
NIC = Difference("devices/interface[mac=fa:16:3e:00:00:01]", None, "<interface/>")
PASSWORD = Difference("devices/graphics[type=vnc]/@passwd", MASK, MASK)
SCORE = Difference("oom_score_adj", "0", "-900")
LIVE: Any = Resume()
IN_SYNC = Drift()


def planned(observed: ObservedVm, drift: Drift = IN_SYNC, on_drift: str = "next_boot", **options: Any) -> Plan:
    return plan_vm(parsed_vm(**options), observed, drift, Policy(on_drift), NEW if drift.defined else "")


def shown(observed: ObservedVm, plan: Plan, **options: Any) -> tuple[str, str]:
    """Return the two texts of the diff."""
    result = of_vm(parsed_vm(**options))
    show_diff(parsed_vm(**options), observed, plan, etree.fromstring(NEW), result)
    return result.before, result.after


def test_a_mere_start_is_a_change_of_the_state() -> None:
    assert shown(OFF, planned(OFF)) == ("state: shutoff\n" + OLD_TEXT, "state: running\n" + OLD_TEXT)


def test_a_vm_that_is_started_paused_is_shown_paused() -> None:
    plan = planned(OFF, create_paused=True)
    assert shown(OFF, plan, create_paused=True)[1] == "state: paused\n" + OLD_TEXT


@pytest.mark.parametrize(
    ("state", "reason", "text"),
    [
        ("paused", "ioerror", "paused (ioerror)"),
        ("pmsuspended", "unknown", "pmsuspended"),
    ],
)
@pytest.mark.parametrize("create_paused", [False, True])
def test_a_vm_that_is_brought_back_is_shown_running(state: str, reason: str, text: str, create_paused: bool) -> None:
    observed = replace(RUNS, state=state, reason=reason)
    plan = planned(observed, create_paused=create_paused)
    before, after = shown(observed, plan, create_paused=create_paused)
    assert (before, after) == ("state: %s\n%s" % (text, OLD_TEXT), "state: running\n" + OLD_TEXT)


def test_a_vm_that_is_shutting_down_is_shown_running_again() -> None:
    observed = replace(RUNS, state="shutdown")
    assert shown(observed, planned(observed))[1] == "state: running\n" + OLD_TEXT


def test_a_crashed_vm_that_is_started_paused_has_a_diff() -> None:
    observed = replace(RUNS, state="paused", reason="crashed")
    before, after = shown(observed, planned(observed, on_drift="restart", create_paused=True), create_paused=True)
    assert (before, after) == ("state: paused (crashed)\n" + OLD_TEXT, "state: paused\n" + OLD_TEXT)


def test_a_new_vm_comes_from_nothing() -> None:
    absent = ObservedVm()
    assert shown(absent, planned(absent, Drift((CPUS,)))) == ("state: absent\n", "state: running\n" + NEW_TEXT)


def test_a_new_definition_of_a_running_vm_changes_the_definition_alone() -> None:
    plan = planned(RUNS, Drift((CPUS,), (CPUS,)))
    assert shown(RUNS, plan) == ("state: running\n" + OLD_TEXT, "state: running\n" + NEW_TEXT)


def test_autostart_is_shown_beside_the_definition() -> None:
    plan = planned(replace(RUNS, autostart=False), autostart=True)
    assert shown(RUNS, plan) == (
        "state: running\nautostart: false\n" + OLD_TEXT,
        "state: running\nautostart: true\n" + OLD_TEXT,
    )


@pytest.mark.parametrize("drift", [Drift((PASSWORD,), (PASSWORD,)), Drift((), (PASSWORD,), live_actions=(LIVE,))])
def test_a_new_password_is_shown_as_new(drift: Drift) -> None:
    before, after = shown(RUNS, planned(RUNS, drift, "live"))
    assert before.splitlines()[1] == f"{PASSWORD.path}: {MASK}"
    assert after.splitlines()[1] == f"{PASSWORD.path}: {MASK} (new)"


class TestWhatOnlyTheRunningVmLacks:
    def test_is_shown_where_it_is_changed_live(self) -> None:
        drift = Drift((), (NIC, CPUS), live_actions=(LIVE,), live_remaining=(CPUS,))
        before, after = shown(RUNS, planned(RUNS, drift, "live"))
        assert before == "state: running\n" + OLD_TEXT
        assert after == "state: running\n%s: <interface/>\n%s" % (NIC.path, OLD_TEXT)

    def test_is_shown_where_it_is_restarted(self) -> None:
        plan = planned(RUNS, Drift((), (NIC,)), "restart")
        assert [type(action) for action in plan.changes] == [Stop, Start]
        assert NIC.path in shown(RUNS, plan)[1]

    @pytest.mark.parametrize("autostart", [None, True])
    def test_is_not_shown_where_it_is_left(self, autostart: object) -> None:
        observed = replace(RUNS, autostart=False)
        before, after = shown(observed, planned(observed, Drift((), (NIC,), process=(SCORE,)), autostart=autostart))
        assert NIC.path not in before + after
        assert (SCORE.path in before + after, before == after) == (False, autostart is None)


def test_nothing_changes_where_the_policy_forbids_it() -> None:
    plan = planned(RUNS, Drift((CPUS,), (CPUS,)), "ignore", autostart=True)
    assert shown(RUNS, plan) == ("state: running\n" + OLD_TEXT,) * 2


def test_a_resume_shows_no_change_that_the_policy_forbids() -> None:
    paused = replace(RUNS, state="paused", reason="user", autostart=False)
    plan = planned(paused, Drift((CPUS, PASSWORD), (CPUS, PASSWORD)), "ignore", autostart=True)
    assert shown(paused, plan) == ("state: paused (user)\n" + OLD_TEXT, "state: running\n" + OLD_TEXT)
