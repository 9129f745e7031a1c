# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs that the playbooks' variables describe: as lists and mappings, and as the text that a survey gives."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.zstack.kvm.plugins.filter.vms_of_variables import vms_of_variables

SECRET = "Vt9LpR4s"
ANY = {"vmInstanceUuid": "3f0b6c1e-7a53-4d0c-9d5c-0c2f6f1f7a10", "memory": 1, "cpuNum": 1}
ANY["rootVolume"] = {"installPath": "/any"}
A, B = {"vmName": "a", **ANY}, {"vmName": "b", **ANY}


def names(**variables):
    return [vm["name"] for vm in vms_of_variables(variables)]


@pytest.mark.parametrize("nothing", [{}, {"zstack_vms": None}, {"zstack_vms": ""}, {"zstack_start_vm_cmds": " \n"}])
def test_empty_values_count_as_omitted(nothing):
    assert vms_of_variables(nothing) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (A, ["a"]),
        ([A, B], ["a", "b"]),
        ([json.dumps(A), B], ["a", "b"]),
        (json.dumps(A), ["a"]),
        (json.dumps(A, indent=2).replace("\n", "\r\n"), ["a"]),
        ("\ufeff\n " + json.dumps(A) + "\n", ["a"]),
        (json.dumps([A, B]), ["a", "b"]),
        (f"{json.dumps(A)}\n\n{json.dumps(B)}\n", ["a", "b"]),
        (f"{json.dumps(A)},\n{json.dumps([B])}", ["a", "b"]),
    ],
)
def test_documents_come_in_every_form(given, expected):
    assert names(zstack_start_vm_cmds=given) == expected
    assert names(zstack_secret_start_vm_cmds=given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "a"}, ["a"]),
        ([{"name": "a"}, {"name": "b"}], ["a", "b"]),
        ('{"name": "a"}', ["a"]),
        ('[\t{"name": "a"}]', ["a"]),
        ("name: a\nmemory: 1GiB\n", ["a"]),
        ("- name: a\n- name: b\n", ["a", "b"]),
    ],
)
def test_vms_come_in_every_form(given, expected):
    assert names(zstack_vms=given) == expected


def test_documents_come_first():
    assert names(zstack_vms="name: c", zstack_secret_start_vm_cmds=[B], zstack_start_vm_cmds=[A]) == ["a", "b", "c"]


def test_options_of_the_vm_override_the_defaults():
    vms = [{"name": "a", "domain_type": "kvm"}, {"name": "b"}]
    defaults = "domain_type: qemu\nautostart: 'true'"
    assert vms_of_variables({"zstack_vms": vms, "zstack_vm_defaults": defaults}) == [
        {"name": "a", "domain_type": "kvm", "autostart": "true"},
        {"name": "b", "domain_type": "qemu", "autostart": "true"},
    ]


@pytest.mark.parametrize("own", [{}, {"console_password": ""}, {"console_password": None}])
def test_a_vm_without_a_console_password_gets_that_of_the_survey(own):
    (vm,) = vms_of_variables({"zstack_vms": [own], "zstack_console_password": SECRET})
    assert vm["console_password"] == SECRET


def test_a_console_password_of_its_own_stays():
    document = {**A, "consolePassword": "own"}
    (vm,) = vms_of_variables({"zstack_start_vm_cmds": document, "zstack_console_password": SECRET})
    assert vm["console_password"] == "own"


def test_unknown_fields_are_ignored():
    (vm,) = vms_of_variables({"zstack_start_vm_cmds": json.dumps({**A, "newField": 1})})
    assert set(vm) == {"name", "uuid", "memory", "cpu_num", "root_volume"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"zstack_start_vm_cmds": f"please start {SECRET}"},
         "zstack_start_vm_cmds: the text is not JSON: Expecting value in line 1, column 1"),
        ({"zstack_start_vm_cmds": '{"vmName": "a",\n "consolePassword": "%s",,}' % SECRET},
         "zstack_start_vm_cmds: the text is not JSON: Expecting property name "
         "enclosed in double quotes in line 2, column 32"),
        ({"zstack_start_vm_cmds": [A, '{"a": %s}' % SECRET]},
         "zstack_start_vm_cmds[1]: not a usable StartVmCmd: the text is not JSON: Expecting value in line 1, column 7"),
        ({"zstack_start_vm_cmds": f'["{SECRET}"]'},
         "zstack_start_vm_cmds[0]: not a usable StartVmCmd: the text is not JSON: Expecting value in line 1, column 1"),
        ({"zstack_start_vm_cmds": 42},
         "zstack_start_vm_cmds: not a usable StartVmCmd: the document must be a mapping of fields, not a number"),
        ({"zstack_vms": f"- name: a\n  console_password: {SECRET}: x"},
         "zstack_vms: the text is neither JSON nor YAML, see line 2, column 29"),
        ({"zstack_vms": f"console_password: *{SECRET}"},
         "zstack_vms: the text is neither JSON nor YAML, see line 1, column 19"),
        ({"zstack_vm_defaults": f"name: a\nconsole_password: !{SECRET}"},
         "zstack_vm_defaults: the text is neither JSON nor YAML, see line 2, column 19"),
        ({"zstack_vms": f"start {SECRET}"}, "zstack_vms: must be a mapping of options, not text"),
        ({"zstack_vms": [{}, 3]}, "zstack_vms[1]: must be a mapping of options, not a number"),
        ({"zstack_start_vm_cmds": "[" * 15_000}, "zstack_start_vm_cmds: the text is nested more than 32 levels deep"),
        ({"zstack_vms": "[" * 15_000}, "zstack_vms: the text is neither JSON nor YAML"),
        ({"zstack_vms": "[" * 40 + "]" * 40}, "zstack_vms[0]: is nested more than 32 levels deep"),
        ({"zstack_vms": '{"memory": NaN}'}, "zstack_vms: has a number that is not finite"),
        ({"zstack_vms": "a: &a [%s]\nb: &b [%s]\nc: [%s]" % ("1," * 9999, "*a," * 9999, "*b," * 9999)},
         "zstack_vms: has more than 20000 values"),
        ({"zstack_vms": "\0"}, "zstack_vms: the text is neither JSON nor YAML"),
        ({"zstack_console_password": 342391},
         "zstack_console_password: must be text, but is a number; use one that contains letters"),
        ({"zstack_vms": [{}], "zstack_vm_defaults": [SECRET]},
         "zstack_vm_defaults[0]: must be a mapping of options, not text"),
    ],
)  # fmt: skip
def test_errors_name_the_variable_and_the_path_and_no_value(variables, message):
    with pytest.raises(AnsibleFilterError) as error:
        vms_of_variables(variables)
    assert str(error.value) == message
    assert SECRET not in message


def test_all_problems_are_named_at_once():
    with pytest.raises(AnsibleFilterError) as error:
        vms_of_variables({"zstack_vms": [1, 2], "zstack_start_vm_cmds": "?"})
    assert str(error.value).count(";") == 2
