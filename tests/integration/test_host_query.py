# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A loop of queries that run side by side, on hosts whose Python is a program of the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.zstack.kvm.plugins.modules.zstack_host_query import EXAMPLES
from ansible_collections.zstack.kvm.tests.support.documented_result import deviations

QUERY = yaml.safe_load(EXAMPLES)[0]
WEB = "36c27e8f-f05c-4780-bf6d-2fa65700f22e"
INFO = {"uuid": "u", "hostname": "h", "vms": [{"uuid": WEB, "active": True}, {"uuid": "off", "active": False}]}


class Fleet:
    """Hosts on which a module prints what the test says, instead of running."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._hosts: dict[str, dict[str, Any]] = {}

    def add(self, name: str, program: str, **variables: Any) -> None:
        """Add a host whose Python is a shell script."""
        python = self._directory / f"python of {name}"
        python.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
        python.chmod(0o755)
        local = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
        self._hosts[name] = {**local, **variables}

    def query(self, *arguments: str, task: Mapping[str, Any] = QUERY) -> dict[str, Any]:
        """Run the first example for these hosts, and return what is registered."""
        registered = self._directory / "registered.json"
        inventory = self._directory / "inventory.json"
        inventory.write_text(json.dumps({"hypervisors": {"hosts": self._hosts}}), encoding="utf-8")
        write = {"copy": {"content": "{{ queried | to_json }}", "dest": str(registered)}, "delegate_to": "localhost"}
        python = {"ansible_python_interpreter": sys.executable}
        tasks = [{**task, "ignore_errors": True}, {**write, "run_once": True, "vars": python, "check_mode": False}]
        playbook = self._directory / "playbook.json"
        playbook.write_text(json.dumps([{"hosts": "hypervisors", "gather_facts": False, "tasks": tasks}]), "utf-8")
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", str(inventory), *arguments, str(playbook)]
        run = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        result: dict[str, Any] = json.loads(registered.read_text(encoding="utf-8"))
        return result


def printing(info: Mapping[str, Any]) -> str:
    return f"echo '{json.dumps(info)}'"


def test_the_last_item_has_the_answers_of_all_hypervisors(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("hv1", printing(INFO))
    fleet.add("hv2", printing({**INFO, "vms": []}))
    last = fleet.query()["results"][-1]
    of_both = {"uuid": "u", "hostname": "h"}
    assert last["answers"] == [{"item": "hv1", "active": [WEB], **of_both}, {"item": "hv2", "active": [], **of_both}]
    assert deviations("zstack_host_query", {"changed": False, "answers": last["answers"]}) == []


def test_it_asks_in_check_mode_as_well(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("hv1", printing(INFO))
    assert fleet.query("--check")["results"][-1]["answers"][0]["active"] == [WEB]


def test_those_that_do_not_answer_are_named_with_their_reasons(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("hv1", printing({"failed": True, "msg": "no socket"}))
    fleet.add("hv2", "exit 1", ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1)
    fleet.add("hv3", printing(INFO))
    last = fleet.query()["results"][-1]
    first, second = last["msg"].splitlines()
    assert first == "hv1 cannot be queried for its running VMs: no socket"
    assert second.startswith("hv2 cannot be queried for its running VMs: ") and "port 1" in second
    assert last["failed"] and last["answers"][2]["active"] == [WEB]


def test_one_that_takes_longer_than_the_timeout_of_the_task_does_not_keep_the_others_from_being_asked(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("hv1", "exec sleep 60")
    fleet.add("hv2", printing(INFO))
    # One after another: each has the time for itself
    first, second = fleet.query("--forks", "1", task={**QUERY, "timeout": 3})["results"][-1]["answers"]
    assert first == {"item": "hv1", "msg": "no answer within the 3 seconds of the task's timeout"}
    assert second["active"] == [WEB]


def test_one_that_answers_something_else_is_named(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("hv1", printing({**INFO, "vms": None}))
    fleet.add("hv2", printing(INFO))
    first, second = fleet.query()["results"][-1]["answers"]
    assert "active" not in first and second["active"] == [WEB]


def test_one_for_which_ansible_evaluates_variables_of_another_host_is_not_asked(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    asked = tmp_path / "asked"
    fleet.add("hv1", f"echo hv1 >>{asked}; {printing(INFO)}")
    fleet.add("hv2", printing(INFO))
    of_itself = {"ansible_python_interpreter": f"{tmp_path}/python of {{{{ inventory_hostname }}}}"}
    fleet.add("hv3", printing(INFO), **of_itself)
    *others, third = fleet.query()["results"][-1]["answers"]
    assert all("active" in other for other in others)
    assert third["msg"].startswith("Ansible evaluates ansible_python_interpreter for another host in a delegated task.")
    # hv1, which it would have asked instead, was asked only for itself
    assert asked.read_text(encoding="utf-8") == "hv1\n"


def test_no_more_queries_run_at_once_than_ansible_has_forks(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    alone = f"mkdir {tmp_path}/one && sleep 0.2 && {printing(INFO)} && rmdir {tmp_path}/one"
    for name in ("hv1", "hv2", "hv3"):
        fleet.add(name, alone)
    assert all("active" in answer for answer in fleet.query("--forks", "1")["results"][-1]["answers"])


def test_an_unknown_option_is_an_error(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("hv1", printing(INFO))
    (result, _last) = fleet.query(task={**QUERY, "zstack.kvm.zstack_host_query": {"colect": True}})["results"]
    assert result["failed"] and "colect" in result["msg"]
