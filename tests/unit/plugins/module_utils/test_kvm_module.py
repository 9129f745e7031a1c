# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import MASK, KvmModule, presentable
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import DescribedVmsModule

SPEC = {"vms": {"type": "list", "elements": "raw"}, "parallel": {"type": "int"}, "uri": {"type": "str"}}
# Since ansible-core 2.21 results have no invocation unless it is requested.
SHOW_INVOCATION = {"_ansible_inject_invocation": True} if "inject_invocation" in PASS_VARS else {}


def ended(module: type[KvmModule], arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with patch_module_args({**arguments, **SHOW_INVOCATION}), pytest.raises(SystemExit):
        module(SPEC).exit_json(changed=False)
    return dict(json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")))


@pytest.mark.parametrize("module", [KvmModule, DescribedVmsModule])
def test_an_unknown_option_does_not_reveal_its_value(
    module: type[KvmModule], capsys: pytest.CaptureFixture[str]
) -> None:
    result = ended(module, {"vm": [{"console_password": "Sekret"}], "passwort": "Sekret"}, capsys)
    assert (result["invocation"]["module_args"]["vm"], result["invocation"]["module_args"]["passwort"]) == (MASK, MASK)
    assert "Sekret" not in json.dumps(result)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), "Infinity", "1e999999999"])
def test_a_number_that_is_not_finite_is_a_wrong_value(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    result = ended(KvmModule, {"parallel": value}, capsys)
    assert (result["failed"], "parallel" in result["msg"], "exception" in result) == (True, True, False)


def test_values_that_json_cannot_carry_are_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    result = ended(DescribedVmsModule, {"vms": [{"memory": float("inf")}]}, capsys)
    assert result["invocation"]["module_args"]["vms"] == [{"memory": "inf"}]
    assert presentable({"\ud800": ["a\udfff"]}) == {"\\ud800": ["a\\udfff"]}


def test_presentable_leaves_everything_else_as_it_is() -> None:
    value = {"a": [1, 1.5, None, True, "Büro"], "b": {}}
    assert presentable(value) == value


HOSTILE = "a\x1b[2J\u202eb\x9bc\r"


def test_nothing_that_a_terminal_would_obey_is_in_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    for end in ("exit_json", "fail_json"):
        with patch_module_args({"uri": HOSTILE, **SHOW_INVOCATION}), pytest.raises(SystemExit):
            module = KvmModule(SPEC)
            module.warn(HOSTILE)
            getattr(module, end)(msg=HOSTILE, vms=[{HOSTILE: [HOSTILE]}])
        result = json.loads(capsys.readouterr().out)
        del result["invocation"]  # what the task itself has written
        assert not re.search("[\x1b\x9b\r\u202e]", json.dumps(result, ensure_ascii=False)), result
