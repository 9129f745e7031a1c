# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisors that playbooks/start_vms.yml queries before it starts anything, in several kinds of inventories."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.support.laboratory import CHECKOUT
from ansible_collections.zstack.kvm.tests.support.playbook import TARGET_PYTHON

# A VM of hv1 may run on hv2, which can't be queried.
HOSTS = {"hv1": {}, "hv2": {"zstack_uri": "qemu+unix:///system?socket=/run/nobody-listens"}}
HV2 = "hv2 cannot be queried for its running VMs"
SSH_TO_NOBODY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
VM = {"uuid": "3f0b6c1e-0000-4000-8000-000000000001", "name": "web"}

FAILURE_ON_HV2 = {"ansible.builtin.fail": {"msg": "It has no image"}, "when": "inventory_hostname == 'hv2'"}

# A Python that tells another one that it runs, and waits for that.
WAITING_PYTHON = """#!/bin/sh
touch '%s'
for tenth in $(seq 600); do
    [ ! -e '%s' ] || exec %s "$@"
    sleep 0.1
done
exit 1
"""


def look(
    directory: Path, *arguments: str, hosts: Mapping[str, Any] | None = None, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run the placement part of start_vms for VMs on hv1, and return the outcome."""
    command = ["--tags", "placement", *arguments, "playbooks/start_vms.yml"]
    return play(directory, {"zstack_hosts": "hv1", **variables}, *command, hosts=hosts)


def play(
    directory: Path, variables: Mapping[str, Any], *arguments: str, hosts: Mapping[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook for both hosts, and return the outcome."""
    settings = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
    inventory = directory / "inventory.json"
    inventory.write_text(json.dumps({"kvm": {"hosts": hosts or HOSTS, "vars": settings}}), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
    return subprocess.run(
        [*command, "-e", json.dumps(variables), *arguments],
        cwd=CHECKOUT, env=dict(os.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def asked(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the hosts of the play that were asked after the check of their VMs, and the results."""
    plays = run.stdout.split("\nPLAY [")
    lines = [line for play in plays if play.startswith("Ask the hypervisors") for line in play.splitlines()]
    return {host: result for line in lines for result, host in re.findall(r"^(ok|fatal): \[(.+?)\]", line)}


def test_every_hypervisor_is_queried_by_itself_whatever_its_group_is_called(tmp_path: Path) -> None:
    run = look(tmp_path)
    assert run.returncode == 2 and HV2 in run.stdout + run.stderr, run.stdout
    assert asked(run) == {"hv2": "fatal"}
    assert "hv1 -> hv2" not in run.stdout


def test_a_hypervisor_that_the_check_of_its_vms_could_not_ask_is_queried(tmp_path: Path) -> None:
    invalid = {"uuid": "web", "name": "web"}
    run = look(tmp_path, zstack_vms=[invalid], zstack_hypervisors="hv1")
    assert asked(run) == {"hv1": "ok"}, run.stdout + run.stderr
    assert run.returncode == 0


def test_a_hypervisor_whose_vms_were_checked_is_not_queried_again(tmp_path: Path) -> None:
    run = look(tmp_path, zstack_hypervisors="hv1")
    assert "PLAY [Ask the hypervisors that have not answered]" in run.stdout, run.stdout + run.stderr
    assert "skipping: no hosts matched" in run.stdout


def test_an_unreachable_hypervisor_is_tried_once(tmp_path: Path) -> None:
    run = look(tmp_path, hosts={"hv1": SSH_TO_NOBODY}, zstack_hypervisors="hv1")
    assert (run.stdout + run.stderr).count("UNREACHABLE!") == 1, run.stdout + run.stderr
    assert "hv1 cannot be queried for its running VMs: " in run.stdout + run.stderr


def test_those_of_a_pattern_are_queried(tmp_path: Path) -> None:
    run = look(tmp_path, zstack_hypervisors=["hv*:hv2", "!hv1"])
    assert HV2 in run.stdout + run.stderr, run.stdout
    assert "no host" not in run.stdout + run.stderr


def test_a_part_of_a_pattern_that_matches_no_host_is_an_error(tmp_path: Path) -> None:
    run = look(tmp_path, zstack_hypervisors="hv1,hv1:kvn:!hv2")
    assert run.returncode != 0
    assert "zstack_hypervisors names kvn, which no host of the inventory matches" in run.stdout + run.stderr
    assert HV2 not in run.stdout + run.stderr


def test_the_others_of_a_pattern_need_not_answer(tmp_path: Path) -> None:
    run = look(tmp_path, zstack_hypervisors="hv1")
    assert run.returncode == 0, run.stdout + run.stderr


def test_those_that_the_limit_excludes_are_queried(tmp_path: Path) -> None:
    run = look(tmp_path, "--limit", "hv1")
    assert asked(run) == {}
    assert "failed: [hv1] (item=hv1)" in run.stdout, run.stdout + run.stderr
    assert run.returncode == 2 and HV2 in run.stdout + run.stderr


def test_one_that_the_limit_excludes_and_whose_variables_are_wrong_is_named_with_the_reason(tmp_path: Path) -> None:
    wrong = {**SSH_TO_NOBODY, "ansible_host": "{{ nope }}"}
    run = look(tmp_path, "--limit", "hv1", hosts={"hv1": {}, "hv2": wrong, "hv3": HOSTS["hv2"]})
    assert HV2 + ": Task failed: 'nope' is undefined\n" in run.stdout + run.stderr, run.stdout + run.stderr
    assert "hv3 cannot be queried for its running VMs: cannot open: " in run.stdout + run.stderr


def test_those_that_the_limit_excludes_are_queried_without_localhost(tmp_path: Path) -> None:
    hosts = {"hv1": {}, "hv2": {}, "localhost": {"ansible_connection": "{{ nope }}"}}
    run = look(tmp_path, "--limit", "hv1", hosts=hosts, zstack_hypervisors="hv1,hv2")
    assert run.returncode == 0, run.stdout + run.stderr


def test_those_that_the_limit_excludes_are_queried_side_by_side(tmp_path: Path) -> None:
    # The Python of each begins when that of the other has begun.
    hosts: dict[str, dict[str, str]] = {"hv1": {}}
    for name, other in (("hv2", "hv3"), ("hv3", "hv2")):
        python = tmp_path / f"python of {name}"
        python.write_text(WAITING_PYTHON % (tmp_path / name, tmp_path / other, TARGET_PYTHON), encoding="utf-8")
        python.chmod(0o755)
        hosts[name] = {"ansible_python_interpreter": str(python)}
    run = look(tmp_path, "--limit", "hv1", hosts=hosts)
    assert run.returncode == 0, run.stdout + run.stderr


def test_an_unreachable_hypervisor_that_is_only_queried_fails_the_check_and_needs_no_valid_vms(tmp_path: Path) -> None:
    run = look(tmp_path, hosts={"hv1": {}, "hv2": {**SSH_TO_NOBODY, "zstack_vms": "{"}})
    assert run.returncode == 2 and HV2 in run.stdout + run.stderr, run.stdout + run.stderr
    assert re.search(r"^hv1 .* unreachable=0 +failed=1", run.stdout, re.MULTILINE), run.stdout
    assert re.search(r"^hv2 .* unreachable=0 +failed=0", run.stdout, re.MULTILINE), run.stdout


def test_vms_of_hosts_that_are_only_queried_are_not_considered(tmp_path: Path) -> None:
    # Extra variables are those of all hosts: if hv2 counted, the VM would be one of two hypervisors.
    variables = {"zstack_vms": [VM], "zstack_ignore_unreachable": "hv2"}
    run = look(tmp_path, hosts={"hv1": {}, "hv2": SSH_TO_NOBODY}, **variables)
    assert run.returncode == 0, run.stdout + run.stderr


def test_hosts_of_the_play_that_the_inventory_does_not_call_hypervisors_are_not_queried(tmp_path: Path) -> None:
    run = look(tmp_path, hosts={"hv1": {"zstack_hypervisors": "hv1"}, "hv2": {}})
    assert run.returncode == 0, run.stdout + run.stderr
    assert "item=hv2" not in run.stdout


def test_a_vm_that_the_same_run_has_started_on_another_host_may_move(tmp_path: Path) -> None:
    # What an earlier play noted for hv1 is not what this one starts.
    playbook = tmp_path / "playbook.json"
    start = {"import_playbook": "zstack.kvm.start_vms"}
    moves = [{**start, "vars": {"zstack_hosts": host, "zstack_ignore_unreachable": "hv1"}} for host in ("hv1", "hv2")]
    playbook.write_text(json.dumps(moves), encoding="utf-8")
    nobody = {"zstack_uri": HOSTS["hv2"]["zstack_uri"]}
    variables = {"zstack_vms": [VM]}
    run = play(tmp_path, variables, "--tags", "placement", str(playbook), hosts={"hv1": nobody, "hv2": {}})
    assert run.returncode == 0, run.stdout + run.stderr


def test_what_an_earlier_import_was_told_does_not_count(tmp_path: Path) -> None:
    playbook = tmp_path / "playbook.json"
    start = {"import_playbook": "zstack.kvm.start_vms"}
    # hv1 is only asked, and answers; then it is unreachable
    lost = {
        "hosts": "hv1",
        "gather_facts": False,
        "tags": ["always"],
        "tasks": [{"ansible.builtin.set_fact": SSH_TO_NOBODY}],
    }
    imports = [{**start, "vars": {"zstack_hosts": hosts}} for hosts in ("hv2", "hv1,hv2")]
    playbook.write_text(json.dumps([imports[0], lost, imports[1]]), encoding="utf-8")
    run = play(tmp_path, {}, "--tags", "placement,always", str(playbook), hosts={"hv1": {}, "hv2": {}})
    assert asked(run) == {"hv1": "ok"}, run.stdout + run.stderr
    assert run.returncode == 2
    assert "hv1 cannot be queried for its running VMs: " in run.stdout + run.stderr


def test_an_implicit_localhost_is_queried_like_any_other(tmp_path: Path) -> None:
    variables = {"zstack_vms": [{"uuid": "web", "name": "web"}], "zstack_hypervisors": "localhost"}
    run = look(tmp_path, zstack_hosts="localhost", **variables)
    assert asked(run) == {"localhost": "ok"}, run.stdout + run.stderr
    assert run.returncode == 0


UNCHECKED = "No VM is started without the check that it runs nowhere else"


def test_without_the_check_of_the_placement_nothing_is_started(tmp_path: Path) -> None:
    run = play(tmp_path, {"zstack_hosts": "hv1"}, "--skip-tags", "placement", "playbooks/start_vms.yml")
    assert run.returncode != 0 and UNCHECKED in run.stdout + run.stderr, run.stdout


def test_without_the_check_of_the_placement_nothing_is_created(tmp_path: Path) -> None:
    given = {
        "zstack_names": ["g1"],
        "zstack_image": "/nope.qcow2",
        "zstack_bridge": "br_nope",
        "zstack_ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHV8",
    }
    command = ["--check", "--skip-tags", "placement", "playbooks/create_vms.yml"]
    run = play(tmp_path, {"zstack_hosts": "hv1", **given}, *command)
    assert run.returncode != 0 and UNCHECKED in run.stdout + run.stderr, run.stdout + run.stderr


def test_a_condition_that_is_false_for_the_first_host_starts_nothing_unchecked(tmp_path: Path) -> None:
    # Ansible then skips for all hosts what is run once.
    playbook = tmp_path / "playbook.json"
    condition = {"import_playbook": "zstack.kvm.start_vms", "when": "inventory_hostname == 'hv2'"}
    unconditional = {"import_playbook": "zstack.kvm.start_vms", "vars": {"zstack_vms": []}}
    playbook.write_text(json.dumps([unconditional, condition]), encoding="utf-8")
    variables = {"zstack_hosts": "hv1,hv2", "zstack_hypervisors": "hv1"}
    run = play(tmp_path, variables, str(playbook), hosts={"hv1": {}, "hv2": {"zstack_vms": [VM]}})
    assert run.returncode != 0 and UNCHECKED in run.stdout + run.stderr, run.stdout + run.stderr


def test_a_host_that_an_earlier_play_failed_on_is_queried_by_another_one(tmp_path: Path) -> None:
    playbook = tmp_path / "playbook.json"
    earlier = {"hosts": "kvm", "gather_facts": False, "tasks": [FAILURE_ON_HV2]}
    playbook.write_text(json.dumps([earlier, {"import_playbook": "zstack.kvm.start_vms"}]), encoding="utf-8")
    variables = {"zstack_hosts": "kvm", "zstack_uri": "qemu:///system"}
    run = play(tmp_path, variables, str(playbook))
    assert "ok: [hv1 -> hv2] => (item=hv2)\nok: [hv1] => (item=hv1)" in run.stdout, run.stdout
    assert "hv1   -   nothing to start" in run.stdout, run.stdout + run.stderr
