# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.zstack.kvm.plugins.module_utils.kvm_module import MASK, KvmModule, presentable
from ansible_collections.zstack.kvm.plugins.module_utils.vm_module import DescribedVmsModule

SPEC = {"vms": {"type": "list", "elements": "raw"}, "parallel": {"type": "int"}, "uri": {"type": "str"}}


def ended(module: type[KvmModule], arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
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
