# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX set up by playbooks/awx_setup.yml: awx.awx's own modules check every argument; a stand-in replaces AWX."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.plugins.modules import zstack_vm_start
from ansible_collections.zstack.kvm.tests.support import awx_api
from ansible_collections.zstack.kvm.tests.support.awx_survey import (
    answer_problems,
    specification_problems,
)
from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT

pytestmark = [pytest.mark.outside, pytest.mark.timeout(900)]

# Created by the tests' set-up: the package ansible, which contains awx.awx.
ANSIBLE_PLAYBOOK = CHECKOUT / ".cache" / "ansible-package" / "bin" / "ansible-playbook"
PLAYBOOK = CHECKOUT / "playbooks" / "awx_setup.yml"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nqL3vXw8nZt5\n-----END OPENSSH PRIVATE KEY-----\n"
PASSWORD = "hR7tKq2bW"
SITE = {
    "zstack_awx_project_url": "https://git.example.com/zstack.kvm.git",
    "zstack_awx_image": "registry.example.com/zstack-kvm-ee:0.1.0",
    "zstack_awx_ssh_key": KEY,
    "zstack_awx_hypervisors": {"hv1": {"ansible_host": "192.0.2.11", "ansible_become_password": PASSWORD}},
}
TEMPLATES = {
    "ZStack: prepare hypervisors": "prepare_hypervisors.yml",
    "ZStack: start VMs": "start_vms.yml",
    "ZStack: report": "report.yml",
}
WORKFLOW = "ZStack: prepare, start, report"


class Setup:
    """The stand-in, and the playbook that sets it up."""

    def __init__(self, awx: awx_api.Awx, directory: Path) -> None:
        self.awx = awx
        self.directory = directory

    def run(self, *arguments: str) -> tuple[dict[str, int], str]:
        """Run the playbook, which must succeed, and return its recap and output."""
        site = self.directory / "site.json"
        site.write_text(json.dumps(SITE), encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        awx = {"CONTROLLER_HOST": self.awx.url, "CONTROLLER_OAUTH_TOKEN": awx_api.TOKEN}
        no_inventory = {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
        command = [str(ANSIBLE_PLAYBOOK), "-e", f"@{site}", *arguments, str(PLAYBOOK)]
        env = {**kept, **no_inventory, **awx}
        done = subprocess.run(command, cwd=self.directory, env=env, capture_output=True, text=True, check=False)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed
        counts = re.search(r"localhost +: (.*)", printed)[1]
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)}, printed


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """Return AWX after the first run of the playbook, in which every task changed something."""
    with awx_api.running() as awx:
        setup = Setup(awx, tmp_path_factory.mktemp("awx"))
        recap, printed = setup.run("-vvv")
        (play,) = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
        assert {name: recap[name] for name in ("changed", "skipped")} == {"changed": len(play["tasks"]), "skipped": 0}
        assert not [secret for secret in (KEY.splitlines()[1], PASSWORD) if secret in printed]
        assert "WARNING" not in printed
        yield setup


@pytest.fixture
def awx(set_up: Setup) -> awx_api.Awx:
    return set_up.awx


def test_a_second_run_changes_nothing(set_up):
    recap, _printed = set_up.run()
    assert (recap["changed"], recap["skipped"], recap["failed"]) == (0, 0, 0)


@pytest.mark.parametrize(("name", "playbook"), TEMPLATES.items())
def test_a_job_template_runs_its_playbook(awx, name, playbook):
    template = awx.named("job_templates", name)
    assert (CHECKOUT / template["playbook"]).samefile(CHECKOUT / "playbooks" / playbook)
    assert template["inventory"] == awx.named("inventories", "ZStack hypervisors")["id"]
    assert template["execution_environment"] == awx.named("execution_environments", "zstack.kvm")["id"]
    credential = awx.named("credentials", "ZStack hypervisors")
    assert awx.associated[f"{template['url']}credentials/"] == [credential["id"]]
    assert template["survey_enabled"] and template["ask_variables_on_launch"] and template["ask_limit_on_launch"]


def test_the_hypervisors_are_in_the_group_that_the_playbooks_mean(awx):
    hosts = awx.associated[f"{awx.named('groups', 'hypervisors')['url']}hosts/"]
    assert sorted(hosts) == [awx.named("hosts", name)["id"] for name in SITE["zstack_awx_hypervisors"]]


def test_the_workflow_prepares_then_starts_and_reports_also_when_that_failed(awx):
    nodes = {node["identifier"]: node for node in awx.objects["workflow_job_template_nodes"].values()}
    names = {template["id"]: template["name"] for template in awx.objects["job_templates"].values()}
    assert {identifier: names[node["unified_job_template"]] for identifier, node in nodes.items()} == {
        "prepare": "ZStack: prepare hypervisors",
        "start": "ZStack: start VMs",
        "report": "ZStack: report",
    }
    links = {
        (identifier, part): awx.associated.get(f"{node['url']}{part}_nodes/", [])
        for identifier, node in nodes.items()
        for part in ("success", "always", "failure")
    }
    assert {link: ids for link, ids in links.items() if ids} == {
        ("prepare", "success"): [nodes["start"]["id"]],
        ("start", "always"): [nodes["report"]["id"]],
    }


def test_the_workflow_asks_what_its_jobs_ask(awx):
    variables = {question["variable"] for name in TEMPLATES for question in awx.survey("job_templates", name)}
    assert {question["variable"] for question in awx.survey("workflow_job_templates", WORKFLOW)} == variables


def questions(awx: awx_api.Awx) -> dict[str, dict[str, Any]]:
    return {question["variable"]: question for question in awx.survey("workflow_job_templates", WORKFLOW)}


def test_a_default_is_an_answer_that_awx_accepts(awx):
    problems = {
        name: answer_problems(question, question["default"])
        for name, question in questions(awx).items()
        if "default" in question
    }
    assert set().union(*problems.values()) == set()


def test_a_job_can_be_launched_without_an_answer(awx):
    required = [question for question in questions(awx).values() if question["required"]]
    assert required and all(question["default"] for question in required)


def test_secrets_are_passwords_without_a_default(awx):
    secrets = {name: question for name, question in questions(awx).items() if question["type"] == "password"}
    assert set(secrets) == {"zstack_ceph_secret_key", "zstack_secret_start_vm_cmds", "zstack_console_password"}
    assert not any("default" in question for question in secrets.values())


def test_choices_are_those_of_the_module(awx):
    options = yaml.safe_load(zstack_vm_start.DOCUMENTATION)["options"]["on_drift"]
    question = questions(awx)["zstack_on_drift"]
    assert (question["choices"], question["default"]) == (options["choices"], options["default"])


@pytest.mark.parametrize(("name", "playbook"), TEMPLATES.items())
def test_what_a_survey_asks_the_playbook_reads(awx, name, playbook):
    role = CHECKOUT / "roles" / "host_prerequisites" / "meta" / "argument_specs.yml"
    paths = [CHECKOUT / "playbooks" / playbook, CHECKOUT / "playbooks" / "vars" / "vms.yml", role]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    variables = {question["variable"] for question in awx.survey("job_templates", name)}
    assert {variable for variable in variables if not re.search(rf"\b{variable}\b", text)} == set()


GOOD = {"type": "text", "question_name": "Q", "variable": "v", "required": False}


class TestRules:
    """The rules notice what AWX refuses."""

    @pytest.mark.parametrize(
        ("question", "message"),
        [
            ({"type": "boolean"}, "question 0: type boolean is not one of text, textarea, password"),
            ({"required": "yes"}, "question 0: required must be a bool"),
            ({"variable": None}, "question 0: variable must be a str"),
            ({"question_name": 3}, "question 0: question_name must be a str"),
            ({"default": 5}, "question 0: the default must be of type text"),
            ({"type": "integer", "default": "5"}, "question 0: the default must be of type integer"),
            ({"type": "float", "default": True}, "question 0: the default must be of type float"),
            ({"max": "5"}, "question 0: max must be a whole number"),
            ({"type": "multiplechoice"}, "question 0: there are no choices"),
            ({"type": "multiplechoice", "choices": ["a"], "default": "b"},
             "question 0: the default is not one of the choices"),
            ({"type": "multiplechoice", "choices": "a\nb", "default": "a\nb"},
             "question 0: there is more than one default"),
            ({"type": "multiselect", "choices": "a\nb", "default": "a\nc"},
             "question 0: the default is not one of the choices"),
            ({"default": "$encrypted$"}, "question 0: $encrypted$ is for passwords only"),
            ({"type": "password", "default": "$encrypted$"}, "question 0: $encrypted$ stands for no earlier default"),
        ],
    )  # fmt: skip
    def test_a_wrong_question_is_refused(self, question, message):
        (problem,) = specification_problems({"name": "", "description": "", "spec": [{**GOOD, **question}]})
        assert problem.startswith(message)

    @pytest.mark.parametrize("missing", ["name", "description", "spec"])
    def test_a_survey_must_be_complete(self, missing):
        survey = {"name": "", "description": "", "spec": [GOOD]}
        assert specification_problems(survey) == []
        assert specification_problems({key: survey[key] for key in survey if key != missing}) != []

    def test_a_variable_has_only_one_question(self):
        survey = {"name": "", "description": "", "spec": [GOOD, GOOD]}
        assert specification_problems(survey) == ["variable v has two questions"]

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ({"type": "text"}, 5),
            ({"type": "password", "min": 3}, "ab"),
            ({"type": "textarea", "max": 3}, "abcd"),
            ({"type": "integer"}, "5"),
            ({"type": "integer", "min": 1}, 0),
            ({"type": "float", "max": 1}, 1.5),
            ({"type": "multiplechoice", "choices": ["a"]}, "b"),
            ({"type": "multiselect", "choices": ["a"]}, "a"),
            ({"type": "multiselect", "choices": ["a"]}, ["a", "b"]),
        ],
    )
    def test_a_wrong_answer_is_refused(self, question, answer):
        assert answer_problems(question, answer) != []
