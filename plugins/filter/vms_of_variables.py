# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that reads VMs from the playbooks' variables, in all supported forms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from ansible_collections.zstack.kvm.plugins.module_utils._spec.input_bounds import problem_of_data, problem_of_json
from ansible_collections.zstack.kvm.plugins.module_utils._spec.option_values import kind_of

DOCUMENTATION = r"""
name: vms_of_variables
short_description: Read VMs from the variables of the playbooks
version_added: 0.1.0
author:
  - zstack.kvm contributors (@zstack)
description:
  - Returns the VMs of the variables of C(playbooks/start_vms.yml), for the option
    O(zstack.kvm.zstack_vm_start#module:vms).
  - Each variable may be a list or mapping, or its text, as a survey or C(-e name=value) gives it. An empty variable
    counts as omitted. A single VM or document needs no list around it.
  - All problems are in one error, with the names of the variables, and without their values.
positional: _input
options:
  _input:
    description:
      - The variables, by name.
    type: dict
    required: true
    suboptions:
      zstack_vms:
        description: VMs, or their JSON or YAML text.
        type: raw
      zstack_start_vm_cmds:
        description: >-
          StartVmCmd documents, as mappings or JSON text; or one text with a list of them or several one after another.
          Unknown fields are a warning.
        type: raw
      zstack_secret_start_vm_cmds:
        description: More such documents, which a survey treats like a password.
        type: raw
      zstack_vm_defaults:
        description: Defaults of the options of every VM, or their JSON or YAML text.
        type: raw
      zstack_console_password:
        description: The console password of every VM that has none.
        type: str
"""

EXAMPLES = r"""
- name: Start the VM of a pasted document
  zstack.kvm.zstack_vm_start:
    vms: "{{ {'zstack_start_vm_cmds': pasted_text} | zstack.kvm.vms_of_variables }}"
"""

RETURN = r"""
_value:
  description:
    - The VMs, those of documents first.
  type: list
  elements: dict
"""

DOCUMENTS = ("zstack_start_vm_cmds", "zstack_secret_start_vm_cmds")


def vms_of_variables(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the VMs that the variables describe; all that is wrong with them in one error."""
    reader = _Reader(variables)
    vms = reader.vms()
    if reader.problems:
        raise AnsibleFilterError("; ".join(reader.problems))
    return vms


class _Reader:
    """Reads the variables, and collects what is wrong with them."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = variables
        self.problems: list[str] = []

    def vms(self) -> list[dict[str, Any]]:
        found = [vm for name in DOCUMENTS for vm in self._documents(name)]
        found += self._mappings("zstack_vms", self._parsed("zstack_vms"))
        defaults: dict[str, Any] = {}
        for options in self._mappings("zstack_vm_defaults", self._parsed("zstack_vm_defaults")):
            defaults.update(options)
        merged = [{**defaults, **vm} for vm in found]
        password = self._password()
        if password is not None:
            merged = [vm if vm.get("console_password") else {**vm, "console_password": password} for vm in merged]
        return merged

    def _password(self) -> Any:
        """Return the password of consoles; never one that was changed on its way."""
        password = self._given("zstack_console_password")
        if password is None or isinstance(password, str):
            return password
        # ansible-core reads 0123 as 83 if it is marked as unsafe, as AWX marks an answer
        self.problems.append(
            "zstack_console_password: must be text, but is %s; use one that contains letters" % kind_of(password)
        )
        return None

    def _given(self, name: str) -> Any:
        """Return a variable's value; None for one that is empty."""
        value = self.variables.get(name)
        empty = value is None or value is False or isinstance(value, str) and not value.strip()
        return None if empty else value

    def _documents(self, name: str) -> list[dict[str, Any]]:
        value = self._given(name)
        if isinstance(value, str):
            value = self._documents_of_text(name, value)
        if value is None:
            return []
        # Ansible loads all filters of the collection for any of them, in every process and uncompiled.
        from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError
        from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document

        vms = []
        for option_path, document in _items(name, value):
            try:
                vm, warnings = vm_of_document(document, unknown="warn")
            except StartVmCmdError as error:
                self.problems.append("%s: %s" % (option_path, error))
                continue
            for warning in warnings:
                Display().warning("%s: %s" % (option_path, warning))
            vms.append(vm)
        return vms

    def _documents_of_text(self, name: str, text: str) -> list[Any]:
        """Return the documents of a text: one, a list, or several in sequence."""
        found: list[Any] = []
        problem = problem_of_json(text, most=math.inf)
        if problem:
            self.problems.append("%s: the text %s" % (name, problem))
            return []
        option_path = _next(text, 0)
        while option_path < len(text):
            try:
                value, end = json.JSONDecoder().raw_decode(text, option_path)
            except json.JSONDecodeError as error:
                what = "the text is not JSON: %s in line %d, column %d" % (error.msg, error.lineno, error.colno)
                self.problems.append("%s: %s" % (name, what))
                return []
            except (RecursionError, ValueError):
                self.problems.append("%s: the text is not readable JSON" % name)
                return []
            found += value if isinstance(value, list) else [value]
            option_path = _next(text, end)
        return found

    def _mappings(self, name: str, value: Any) -> list[dict[str, Any]]:
        """Return the mappings of a list; a single one needs no list around it."""
        found = []
        for option_path, item in _items(name, value):
            problem = problem_of_data(item)
            if problem:
                self.problems.append("%s: %s" % (option_path, problem))
            elif isinstance(item, Mapping):
                found.append(dict(item))
            else:
                self.problems.append("%s: must be a mapping of options, not %s" % (option_path, kind_of(item)))
        return found

    def _parsed(self, name: str) -> Any:
        """Return a variable's value, or what its text says in JSON or YAML."""
        value = self._given(name)
        if not isinstance(value, str):
            return value
        if not problem_of_json(value, most=math.inf):
            try:
                # Not left to YAML, which allows no tabs
                return json.loads(value)
            except (RecursionError, ValueError):
                pass
        try:
            return yaml.safe_load(value)
        except yaml.MarkedYAMLError as error:
            # Not the problem as YAML names it, which may quote the text
            mark = error.problem_mark
            where = ", see line %d, column %d" % (mark.line + 1, mark.column + 1) if mark else ""
            self.problems.append("%s: the text is neither JSON nor YAML%s" % (name, where))
        except (yaml.YAMLError, RecursionError, ValueError):
            self.problems.append("%s: the text is neither JSON nor YAML" % name)
        return None


def _items(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the items of a list, or a single one, each with its path."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [("%s[%d]" % (name, number), item) for number, item in enumerate(value)]
    return [(name, value)]


def _next(text: str, option_path: int) -> int:
    """Return the offset of the next document, after any separators."""
    while option_path < len(text) and (text[option_path].isspace() or text[option_path] in ",\ufeff"):
        option_path += 1
    return option_path


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"vms_of_variables": vms_of_variables}
