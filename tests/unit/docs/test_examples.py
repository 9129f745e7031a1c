# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples in the pages and the plugins are valid: as YAML, for Ansible, and for the modules."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.doc_fragments import constructed, inventory_cache
from ansible_collections.zstack.kvm.plugins.inventory import zstack_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.tests.support.playbook import COLLECTIONS
from ansible_collections.zstack.kvm.tests.unit.docs.pages import CHECKOUT, Block, blocks

COLLECTION = "zstack.kvm."
PLUGINS = "ansible_collections.zstack.kvm.plugins"
YAML_BLOCKS = list(blocks("yaml", "yml"))
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("zstack_*.py"))
ACTIONS = {path.stem for path in (CHECKOUT / "plugins" / "action").glob("zstack_*.py")}
DOCUMENTED = [f"{PLUGINS}.modules.{name}" for name in MODULES] + [f"{PLUGINS}.filter.from_start_vm_cmd"]
FILTERS = sorted(path.stem for path in (CHECKOUT / "plugins" / "filter").glob("[a-z]*.py"))
INVENTORY_FRAGMENTS = (constructed, inventory_cache)


def content(block: Block) -> Any:
    return yaml.safe_load(block.text)


def is_playbook(example: Any) -> bool:
    return isinstance(example, list) and all(isinstance(play, dict) and "hosts" in play for play in example)


def module_calls(example: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the modules of this collection that a playbook, a list of tasks or anything with tasks in it calls."""
    if isinstance(example, list):
        for item in example:
            yield from module_calls(item)
    elif isinstance(example, dict):
        for key, value in example.items():
            if str(key).startswith(COLLECTION) and key.removeprefix(COLLECTION) in MODULES:
                yield key.removeprefix(COLLECTION), value or {}
            else:
                yield from module_calls(value)


def lists_of_vms(example: Any, defaults: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield the VMs that an inventory or variables name, with the defaults that hold for them."""
    if isinstance(example, list):
        for item in example:
            yield from lists_of_vms(item, defaults)
    elif isinstance(example, dict):
        own = (example.get("vars") or {}).get("zstack_vm_defaults") or example.get("zstack_vm_defaults") or {}
        defaults = {**defaults, **own}
        for key, value in example.items():
            if key == "zstack_vms" and isinstance(value, list):
                yield [{**defaults, **vm} if isinstance(vm, dict) else vm for vm in value]
            else:
                yield from lists_of_vms(value, defaults)


def is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def without_templates(value: Any, path: str, dropped: list[str]) -> Any:
    """Return the parts of the value without templates; the paths of the others are added to the list."""
    if isinstance(value, Mapping):
        for key in value:
            if is_template(value[key]):
                dropped.append(f"{path}.{key}")
        return {
            key: without_templates(item, f"{path}.{key}", dropped)
            for key, item in value.items()
            if not is_template(item)
        }
    if isinstance(value, list):
        return [without_templates(item, f"{path}[{index}]", dropped) for index, item in enumerate(value)]
    return value


def problems_of_vms(vms: Any) -> list[str]:
    """Return the problems that parse_vms finds in the parts of the VMs without templates."""
    if is_template(vms):
        return []
    dropped: list[str] = []
    known = without_templates([vm for vm in vms if not is_template(vm)], "vms", dropped)
    if not known:
        return []
    _vms, problems = parse_vms(known)
    return [str(problem) for problem in problems if problem.option_path not in dropped]


def problems_of_call(module: str, arguments: Mapping[str, Any]) -> list[str]:
    """Return the problems that a module would find in its arguments."""
    of_code = "action" if module in ACTIONS else "modules"
    spec = importlib.import_module(f"{PLUGINS}.{of_code}.{module}").ARGUMENT_SPEC
    described = {**arguments}
    describes_vms = spec.get("vms", {}).get("elements") == "raw"
    vms = described.pop("vms", None) if describes_vms else None
    found = problems_of_vms(vms) if vms is not None else []
    unknown = [name for name, value in described.items() if is_template(value) and name in spec]
    known = {name: value for name, value in described.items() if name not in unknown}
    given = {*unknown, *(["vms"] if vms is not None else [])}
    rest = {name: option for name, option in spec.items() if name not in given}
    return found + ArgumentSpecValidator(rest).validate(known).error_messages


def test_there_are_examples() -> None:
    assert len(YAML_BLOCKS) > 5
    assert sum(1 for block in YAML_BLOCKS for _call in module_calls(content(block))) > 3


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_yaml_of_the_pages_is_valid(block: Block) -> None:
    assert content(block) is not None


def test_json_of_the_pages_is_valid() -> None:
    for block in blocks("json"):
        assert json.loads(block.text), block


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_modules_accept_the_examples_of_the_pages(block: Block) -> None:
    example = content(block)
    assert [found for call in module_calls(example) for found in problems_of_call(*call)] == []
    assert [found for vms in lists_of_vms(example, {}) for found in problems_of_vms(vms)] == []


@pytest.mark.parametrize("plugin", DOCUMENTED)
def test_modules_accept_their_own_examples(plugin: str) -> None:
    example = yaml.safe_load(importlib.import_module(plugin).EXAMPLES)
    calls = list(module_calls(example))
    assert calls
    assert [found for call in calls for found in problems_of_call(*call)] == []


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_used_in_their_own_examples(name: str) -> None:
    text = importlib.import_module(f"{PLUGINS}.filter.{name}").EXAMPLES
    assert f"{COLLECTION}{name}" in text
    assert [found for call in module_calls(yaml.safe_load(text)) for found in problems_of_call(*call)] == []


def options_of_inventory() -> dict[str, Any]:
    """Return the inventory plugin's options and those of its fragments, as the argument spec of a module."""
    texts = [zstack_vms.DOCUMENTATION, *(each.ModuleDocFragment.DOCUMENTATION for each in INVENTORY_FRAGMENTS)]
    spec: dict[str, Any] = {}
    for text in texts:
        for name, option in yaml.safe_load(text)["options"].items():
            kept = {key: option[key] for key in ("type", "elements", "choices", "required") if key in option}
            # A fragment has the whole documentation of an option to which the plugin only adds.
            spec[name] = {**kept, **spec.get(name, {})}
            kind = spec[name].get("type", "str")
            spec[name]["type"] = {"integer": "int", "boolean": "bool", "string": "str"}.get(kind, kind)
    return spec


def inventories() -> Iterator[dict[str, Any]]:
    """Yield the inventory configurations that the pages and the plugin itself show."""
    shown = [content(block) for block in YAML_BLOCKS] + list(yaml.safe_load_all(zstack_vms.EXAMPLES))
    return (each for each in shown if isinstance(each, dict) and each.get("plugin") == zstack_vms.InventoryModule.NAME)


def test_the_inventory_accepts_the_examples_of_the_pages_and_its_own() -> None:
    spec, shown = options_of_inventory(), list(inventories())
    assert len(shown) > 3 and {"strict", "cache_timeout", "timeout"} <= spec.keys()
    for configuration in shown:
        assert ArgumentSpecValidator(spec).validate(configuration).error_messages == [], configuration
        assert zstack_vms._checked(configuration["hypervisors"])


def test_ansible_accepts_the_playbooks_of_the_pages(tmp_path: Path) -> None:
    playbooks = []
    for block in YAML_BLOCKS:
        if is_playbook(content(block)):
            playbook = tmp_path / f"{block.page.replace('/', '-')}-{block.line}.yml"
            playbook.write_text(block.text, encoding="utf-8")
            playbooks.append(str(playbook))
    assert len(playbooks) > 3
    inventory = tmp_path / "inventory.ini"
    inventory.write_text("[hypervisors]\nhv1\n", encoding="utf-8")
    checked = subprocess.run(
        # Under ansible-test, Ansible's code is importable, but its programs are not in PATH.
        [sys.executable, "-m", "ansible.cli.playbook", "--syntax-check", "-i", str(inventory), *playbooks],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), **os.environ},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
