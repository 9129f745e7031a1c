# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import problems_of_values

UUID = "001f00d0000000000000000000000001"
VM: dict[str, Any] = {"uuid": UUID, "name": "a", "memory": "1GiB", "cpu_num": 1, "root_volume": {"install_path": "/a"}}


def test_a_valid_vm_has_no_problem() -> None:
    assert problems_of_values(VM, ()) == []


def test_a_problem_has_the_path_of_its_option_in_the_vm() -> None:
    (problem,) = problems_of_values({**VM, "root_volume": {"install_path": "a"}}, ())
    assert problem.startswith("root_volume.install_path: ")


def test_an_option_whose_field_has_a_problem_is_not_reported_as_missing() -> None:
    assert problems_of_values({name: value for name, value in VM.items() if name != "memory"}, {"memory"}) == []


def test_a_secret_is_not_repeated() -> None:
    volume = {"install_path": "/a", "chap_username": "u", "chap_password": "our-secret"}
    problems = problems_of_values({**VM, "cpu_num": "our-secret", "root_volume": volume}, ())
    assert any(problem.startswith("cpu_num: ") for problem in problems)
    assert "our-secret" not in "".join(problems)
