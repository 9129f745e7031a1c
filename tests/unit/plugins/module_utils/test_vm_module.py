# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module shows no secrets of the described VMs, and changes nothing else in its output."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import DescribedVmsModule

VM = {"uuid": "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11", "name": "web", "console_password": "running"}
SPEC = {"vms": {"type": "list", "elements": "raw"}, "timeout": {"type": "int"}}
# Since ansible-core 2.21 results have no invocation unless it is requested.
SHOW_INVOCATION = {"_ansible_inject_invocation": True} if "inject_invocation" in PASS_VARS else {}


@pytest.fixture
def system_log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the messages that reach the system log."""
    written: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda _priority, message: written.append(message))
    return written


def run(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any]) -> dict[str, Any]:
    with patch_module_args({**arguments, **SHOW_INVOCATION}), pytest.raises(SystemExit):
        DescribedVmsModule(SPEC).exit_json(vms=[{"name": "web", "state": "running"}])
    return json.loads(capsys.readouterr().out)


def test_the_invocation_is_returned_with_its_secrets_masked(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, {"vms": [VM], "timeout": 5})["invocation"]["module_args"]
    assert shown == {"vms": [{**VM, "console_password": "********"}], "timeout": 5}


def test_a_password_that_is_a_common_word_does_not_mangle_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, {"vms": [VM]})["vms"] == [{"name": "web", "state": "running"}]


def test_the_system_log_has_the_invocation_without_its_arguments(
    capsys: pytest.CaptureFixture[str], system_log: list[str]
) -> None:
    run(capsys, {"vms": [VM]})
    assert system_log == ["Invoked"]


def test_arguments_that_are_invalid_are_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    failed = run(capsys, {"vms": [VM], "timeout": "soon"})
    assert failed["failed"] and "timeout" in failed["msg"]
    assert failed["invocation"]["module_args"]["vms"][0]["console_password"] == "********"
