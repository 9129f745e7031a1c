# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter as a playbook uses it: errors and warnings are Ansible's."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from ansible_collections.zstack.kvm.plugins.filter.from_start_vm_cmd import FilterModule

DOCUMENT = {
    "vmInstanceUuid": "001f00d0000000000000000000000001",
    "vmName": "vm-1",
    "memory": 1073741824,
    "cpuNum": 2,
    "rootVolume": {"installPath": "/a"},
}
from_start_vm_cmd = FilterModule().filters()["from_start_vm_cmd"]


@pytest.fixture(name="warnings")
def fixture_warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    shown: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda self, message, **kwargs: shown.append(message))
    return shown


def test_gives_a_vm(warnings: list[str]) -> None:
    assert from_start_vm_cmd(DOCUMENT)["name"] == "vm-1"
    assert warnings == []


def test_all_problems_are_one_error() -> None:
    with pytest.raises(AnsibleFilterError, match="memory is required; unknown fields: gpu"):
        from_start_vm_cmd({**DOCUMENT, "gpu": 1, "memory": None})


def test_problems_of_values_come_with_those_of_fields() -> None:
    with pytest.raises(AnsibleFilterError, match="memory is required; cpu_num: 0 must be between") as caught:
        from_start_vm_cmd({**DOCUMENT, "cpuNum": 0, "memory": None})
    assert str(caught.value).count("memory") == 1


def test_values_alone_are_left_to_the_module() -> None:
    assert from_start_vm_cmd({**DOCUMENT, "cpuNum": 0})["cpu_num"] == 0


def test_warns_on_request(warnings: list[str]) -> None:
    from_start_vm_cmd({**DOCUMENT, "gpu": 1}, unknown="warn")
    assert warnings == ["from_start_vm_cmd: unknown fields are ignored: gpu"]


@pytest.mark.parametrize("unknown", ["skip", None, True])
def test_unknown_accepts_three_values(unknown: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="unknown must be one of error, warn, ignore"):
        from_start_vm_cmd(DOCUMENT, unknown=unknown)
