# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalid arguments of every module: no traceback and no secret, whatever the option."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.tests.unit.plugins.modules.in_process import result_of, source_of

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
SECRET = "Sekr3tSekr3t"
UUID = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
# A libvirt that does not answer.
URI = "qemu+unix:///system?socket=/nowhere"
MODULES: dict[str, dict[str, Any]] = {
    "zstack_host_info": {},
    "zstack_libvirt_secret": {"uuid": UUID, "state": "absent"},
    "zstack_vm_info": {},
    "zstack_vm_start": {"vms": []},
    "zstack_vm_stop": {"vms": [UUID]},
    "zstack_volume": {"volumes": []},
}
INFINITE = (float("inf"), float("-inf"), float("nan"), "Infinity", "1e999999999", 1 << 200)
TEXTS = ("\ud800", "a\udfffb", "\x00", "\x1b[31m", "\u202e", "x" * 100_000)
NESTED: tuple[Any, ...] = (
    [float("inf")],
    ["\ud800"],
    {"\ud800": float("nan")},
    [{"uuid": "\ud800", "memory": float("inf")}],
    [[]],
)
NO_TEXT = ("\ud800", "a\udfffb", "\x00")


@pytest.fixture(autouse=True)
def as_on_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept arguments that only Ansible's controller checks."""
    check = "ansible.module_utils._internal._json._profiles._string_encoding_check_enabled"
    monkeypatch.setattr(check, lambda: False, raising=False)


def spec(module: str) -> dict[str, Any]:
    return dict(source_of(module).ARGUMENT_SPEC)


def run(module: str, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run a module with its required arguments and these, and return its result."""
    return result_of(module, {"uri": URI, **MODULES[module], **arguments}, capsys)


def test_these_are_all_modules_but_those_that_are_actions() -> None:
    modules, actions = ({path.stem for path in PLUGINS.glob(f"{kind}/z*.py")} for kind in ("modules", "action"))
    assert modules - actions == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_value_of_any_option_ends_in_a_traceback(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option in spec(module):
        for value in (*INFINITE, *TEXTS, *NESTED, True, None):
            result = run(module, {option: value}, capsys)
            assert "exception" not in result, (option, value, result)


def test_no_value_of_any_option_of_a_vm_ends_in_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    vm = {"uuid": UUID, "name": "a", "memory": "1GiB", "cpu_num": 1, "root_volume": {"install_path": "/a"}}
    for value in (*INFINITE[2:5], *NO_TEXT[1:], *NESTED[2:4]):
        for options in each_option(VM_ARGUMENT_SPEC, value):
            result = run("zstack_vm_start", {"vms": [{**vm, **options}]}, capsys)
            assert "exception" not in result, (options, result)


def each_option(options: Mapping[str, Any], value: Any) -> Iterator[dict[str, Any]]:
    """Yield mappings with each option, even nested ones, set to the value."""
    for name, option in options.items():
        yield {name: value}
        for inner in each_option(option.get("options", {}), value):
            yield {name: [inner] if option["type"] == "list" else inner}


@pytest.mark.parametrize("module", MODULES)
def test_what_is_no_text_is_refused_with_the_options_name(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [name for name, option in spec(module).items() if option.get("type", "str") in ("str", "path")]
    assert options
    for option in options:
        for value in NO_TEXT:
            result = run(module, {option: value}, capsys)
            assert result["failed"] and option in result["msg"], (option, value, result)


@pytest.mark.parametrize("module", MODULES)
def test_a_misspelt_option_shows_nothing_of_its_value(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = spec(module)
    misspelt = {wrong for name in options for wrong in (name[:-1], name + "s", name.upper(), name.replace("_", ""))}
    for name in misspelt - set(options):
        for value in (SECRET, [{"console_password": SECRET}], {SECRET: {"a": SECRET}}):
            result = run(module, {name: value}, capsys)
            assert result["failed"] and name in result["msg"]
            assert SECRET not in json.dumps(result), (name, result)
