# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.reply import failure
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.spool import (
    NO_RESULT,
    ROOM,
    STOPPED,
    Spool,
    SpoolError,
)
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.tasks import Task

TASK = Task(token="1", uuid="a", callback="http://h/", vm="v", content="c")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "spool"


@pytest.fixture
def open_spool(directory: Path) -> Iterator[Callable[[], Spool]]:
    """Open the directory as the next run does after the previous one has ended."""
    opened: list[Spool] = []

    def again() -> Spool:
        for spool in opened:
            spool.close()
        opened[:] = [Spool(str(directory))]
        return opened[0]

    yield again
    for spool in opened:
        spool.close()


def test_only_its_user_can_read_it(directory: Path, open_spool: Callable[[], Spool]) -> None:
    open_spool().add(TASK, {"vms": []})
    assert directory.stat().st_mode & 0o777 == 0o700
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in directory.iterdir() if path.suffix}
    assert modes == {".request": 0o600, ".task": 0o600}


def test_a_directory_that_others_can_read_is_refused(directory: Path) -> None:
    directory.mkdir(parents=True, mode=0o755)
    with pytest.raises(SpoolError, match="mode 0700"):
        Spool(str(directory))


def test_two_agent_apis_do_not_share_it(directory: Path, open_spool: Callable[[], Spool]) -> None:
    open_spool()
    with pytest.raises(SpoolError, match="another agent API"):
        Spool(str(directory))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{"success": true}', {"success": True, "error": ""}),
        ('{"success": true, "error": "", "nicInfos": []}', {"success": True, "error": "", "nicInfos": []}),
        ('{"success": false, "error": "why"}', failure("why")),
        ('{"success": "yes"}', failure(NO_RESULT)),
        ("{", failure(NO_RESULT)),
        ("[]", failure(NO_RESULT)),
    ],
)
def test_the_result_that_a_playbook_leaves(open_spool: Callable[[], Spool], written: str, read: object) -> None:
    spool = open_spool()
    assert spool.read_result("1") is None
    spool.result("1").write_text(written)
    assert spool.read_result("1") == read


def test_what_an_earlier_run_left_is_found_without_its_secrets(
    directory: Path, open_spool: Callable[[], Spool]
) -> None:
    spool = open_spool()
    spool.add(TASK, {"vms": ["secret"]})
    spool.add(Task(token="2", uuid="b", callback="http://h/", vm="v", content="c"), {})
    spool.result("2").write_text(json.dumps({"success": True}))
    spool.result("stray").write_text("{}")
    spool.request("stray").write_text("secret")
    results = {task.uuid: task.result for task in open_spool().left_over()}
    assert results == {"a": failure(STOPPED), "b": {"success": True, "error": ""}}
    assert sorted(path.name for path in directory.iterdir()) == ["1.task", "2.result", "2.task", "lock", "room"]


def test_a_task_that_another_version_has_kept_is_found(directory: Path, open_spool: Callable[[], Spool]) -> None:
    kept = {"uuid": "a", "callback": "http://h/", "vm": "v", "content": "c", "of_another_version": 1}
    spool = open_spool()
    (directory / "1.task").write_text(json.dumps(kept))
    assert [task.uuid for task in spool.left_over()] == ["a"]


@pytest.mark.parametrize("written", ["", "{", "[]", '{"uuid": "a"}'])
def test_a_task_that_cannot_be_read_is_reported(
    directory: Path, open_spool: Callable[[], Spool], written: str, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool()
    (directory / "1.task").write_text(written)
    assert spool.left_over() == []
    assert "no callback is sent for it" in caplog.text
    assert not (directory / "1.task").exists()


def test_a_result_that_cannot_be_read_is_none(directory: Path, open_spool: Callable[[], Spool]) -> None:
    spool = open_spool()
    spool.add(TASK, {})
    spool.result(TASK.token).mkdir()
    with pytest.raises(IsADirectoryError):
        spool.read_result(TASK.token)


def test_a_task_is_on_the_disk_when_it_has_been_added(
    directory: Path, open_spool: Callable[[], Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.readlink(f"/proc/self/fd/{number}")))
    spool = open_spool()
    spool.add(TASK, {})
    assert synced == [str(spool.request("1")), str(directory / "1.task"), str(directory)]


def test_room_is_kept_for_the_results_of_as_many_playbooks_as_may_run(directory: Path) -> None:
    with closing(Spool(str(directory), parallel=3)):
        assert (directory / "room").stat().st_blocks * 512 >= 3 * ROOM


def test_a_disk_that_gets_full_gives_the_room_to_those_that_run(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Spool(str(directory), parallel=3)) as spool:
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=1, f_frsize=4096))
        for _look in range(2):
            with pytest.raises(OSError, match="No space left on device"):
                spool.keep_room(running=2)
            assert (directory / "room").stat().st_size == ROOM
        monkeypatch.undo()
        spool.keep_room(running=2)
        assert (directory / "room").stat().st_size == 3 * ROOM


def test_a_result_that_arrives_after_its_task_was_done_is_removed(
    directory: Path, open_spool: Callable[[], Spool]
) -> None:
    spool = open_spool()
    spool.add(TASK, {})
    being_written = directory / ".ansible_tmp7g2.result"
    for path in (spool.result(TASK.token), spool.result("0f"), being_written):
        path.write_text("{}")
    spool.sweep()
    assert sorted(directory.glob("*.result")) == sorted([spool.result(TASK.token), being_written])


def test_a_task_that_is_reported_leaves_nothing(directory: Path, open_spool: Callable[[], Spool]) -> None:
    spool = open_spool()
    spool.add(TASK, {})
    spool.remove(TASK.token)
    assert {path.name for path in directory.iterdir()} == {"lock", "room"}
