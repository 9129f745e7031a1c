# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.tasks import Task, Tasks


def task(name: str, vm: str = "", seconds: float = 60) -> Task:
    vm = vm or f"VM of {name}"
    return Task(
        token=f"token {name}", uuid=name, callback="http://h/", vm=vm, content=name, seconds=seconds, stored=True
    )


def added(tasks: Tasks, *new: Task) -> list[Task]:
    for one in new:
        tasks.add(one)
    return list(new)


def begun(tasks: Tasks) -> list[str]:
    return [one.uuid for one in tasks.begin(now=0)]


def test_the_oldest_run_first_and_no_more_than_may_run_at_once() -> None:
    tasks = Tasks(parallel=2, waiting=10)
    a, b, _c, _d = added(tasks, *map(task, "abcd"))
    assert begun(tasks) == ["a", "b"]
    assert begun(tasks) == []
    tasks.finish(b, {"success": True})
    assert begun(tasks) == ["c"]
    assert [one.uuid for one in tasks.running] == ["a", "c"]


def test_one_vm_is_worked_on_once_at_a_time_while_others_go_ahead() -> None:
    tasks = Tasks(parallel=3, waiting=10)
    first, *_others = added(tasks, task("a", "vm"), task("b", "vm"), task("c"))
    assert begun(tasks) == ["a", "c"]
    tasks.finish(first, {"success": True})
    assert begun(tasks) == ["b"]


def test_full_is_when_as_many_wait_as_may_wait() -> None:
    tasks = Tasks(parallel=1, waiting=2)
    added(tasks, task("a"), task("b"))
    assert tasks.full
    begun(tasks)
    assert not tasks.full


def test_the_time_of_a_task_counts_from_when_it_begins_to_run() -> None:
    tasks = Tasks(parallel=1, waiting=2)
    first, second = added(tasks, task("a", seconds=900), task("b", seconds=60))
    tasks.begin(now=100)
    tasks.finish(first, {"success": True})
    tasks.begin(now=200)
    assert (first.deadline, second.deadline) == (1000, 260)


def test_what_is_done_is_remembered_until_much_else_is_done() -> None:
    tasks = Tasks(parallel=5, waiting=5, remembered=2)
    for one in added(tasks, *map(task, "abc")):
        tasks.finish(one, {"success": True})
    added(tasks, task("d"))
    assert [name for name in "abcd" if tasks.known(name)] == ["b", "c", "d"]


def test_what_is_not_stored_yet_does_not_begin_and_may_be_dropped() -> None:
    tasks = Tasks(parallel=2, waiting=1)
    new = task("a")
    new.stored = False
    tasks.add(new)
    assert (begun(tasks), tasks.full) == ([], True)
    tasks.drop(new)
    assert (tasks.known("a"), tasks.full) == (None, False)
