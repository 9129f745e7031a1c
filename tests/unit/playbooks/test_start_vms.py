# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook start_vms repeats a variable and options, because it is faster so."""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.zstack.kvm.tests.unit.docs.pages import CHECKOUT

PLAYBOOKS = CHECKOUT / "playbooks"


def load(path: str) -> Any:
    return yaml.safe_load((PLAYBOOKS / path).read_text(encoding="utf-8"))


def test_its_variable_is_that_of_the_other_playbooks() -> None:
    ((name, template),) = load("vars/vms.yml").items()
    assert [play["vars"][name] for play in load("start_vms.yml")] == [template] * 4


def test_both_tasks_about_vms_have_the_same_options() -> None:
    plays = load("start_vms.yml")
    check, start = plays[0]["tasks"][1], plays[-1]["tasks"][0]["block"][0]
    options = [{**task["zstack.kvm.zstack_vm_start"], "vms": None} for task in (check, start)]
    assert options[0] == options[1]
    assert check["check_mode"] is True
