# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All waits use a monotonic clock: a jump of the time of day neither ends nor prolongs any of them."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils.deadline import call_with_deadline
from ansible_collections.zstack.kvm.plugins.module_utils.waiting import wait_until
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.tasks import Task, Tasks

CHECKOUT = Path(__file__).resolve().parents[3]
CODE = sorted(path for part in ("extensions", "plugins", "roles") for path in (CHECKOUT / part).rglob("*.py"))
# What reads the time of day. It names backups of definitions, where a second one with the same name gets another name.
TIMES_OF_DAY = {"time", "time_ns", "localtime", "gmtime", "ctime", "now", "utcnow", "today", "st_mtime", "st_ctime"}
USED = {
    "plugins/module_utils/_actions/definition.py": {"gmtime"},
    # Only the order of tasks that an earlier run has left
    "plugins/plugin_utils/agent_api/spool.py": {"st_mtime"},
}


def attributes(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} & TIMES_OF_DAY


def test_no_code_reads_the_time_of_day() -> None:
    found = {str(path.relative_to(CHECKOUT)): attributes(path) for path in CODE}
    assert {path: names for path, names in found.items() if names} == USED


@pytest.fixture(params=[-1e9, 1e9], ids=["back", "forth"])
def jump(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time of day jump each time it is read."""
    begun, looks = time.time(), [0]

    def later() -> float:
        looks[0] += 1
        return begun + looks[0] * float(request.param)

    monkeypatch.setattr(time, "time", later)


@pytest.mark.usefixtures("jump")
class TestWhenItJumps:
    def test_a_condition_is_waited_for(self) -> None:
        answers = iter([False, False, True])
        assert wait_until(lambda: next(answers), 60, poll=0.001)

    def test_waiting_ends(self) -> None:
        assert not wait_until(lambda: False, 0.01, poll=0.001)

    def test_a_call_has_its_deadline(self) -> None:
        assert call_with_deadline(lambda: 1, 60) == 1
        with pytest.raises(TimeoutError):
            call_with_deadline(lambda: time.sleep(1), 0.01)

    def test_a_task_of_the_agent_api_has_its_time(self) -> None:
        tasks = Tasks(1, 1)
        task = Task("token", "uuid", "http://zs/", "vm", "", seconds=5, stored=True)
        tasks.add(task)
        tasks.begin(time.monotonic())
        assert 0 < task.deadline - time.monotonic() <= 5
