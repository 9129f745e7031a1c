# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.modules.zstack_vm_start import ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api import request
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.request import RequestError, read_request
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, Case

DOCUMENT = {
    "vmInstanceUuid": "6a9c3b1e2f644d0b9a557a0d3c1f2b11",
    "vmName": "web",
    "memory": 1 << 30,
    "cpuNum": 2,
    "hostManagementIp": "10.0.0.7",
    "rootVolume": {"installPath": "/images/web.qcow2", "volumeUuid": "0d0c2f866f0e4f1b8a501f3f0d7d6a02"},
}


def problems(**fields: Any) -> list[str]:
    """Return the problems of the document after these changes."""
    with pytest.raises(RequestError) as caught:
        read_request(json.dumps({**DOCUMENT, **fields}))
    return caught.value.problems


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_every_document_of_the_reference_is_a_request(case: Case) -> None:
    text = json.dumps({"hostManagementIp": "10.0.0.7", **case.document})
    found = read_request(text)
    assert found.vm.replace("-", "") == case.document["vmInstanceUuid"].replace("-", "")
    assert found.warnings == ()


def test_a_document_alone_is_one_vm_and_no_other_argument() -> None:
    found = read_request(json.dumps(DOCUMENT))
    assert found.vm == "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"
    assert found.timeout == 60
    assert list(found.arguments) == ["vms"]
    assert found.arguments["vms"][0]["host_management_ip"] == "10.0.0.7"


def test_the_hosts_uuid_stands_beside_the_vm() -> None:
    assert read_request(json.dumps(DOCUMENT), "0d0c2f866f0e4f1b8a501f3f0d7d6a02").arguments["host_uuid"] == (
        "0d0c2f866f0e4f1b8a501f3f0d7d6a02"
    )


def test_options_of_the_vm_are_merged_over_the_document_those_of_the_module_stand_beside_it() -> None:
    options = {"on_drift": "live", "backup": True, "autostart": True, "root_volume": {"format": "raw"}}
    arguments = read_request(json.dumps({**DOCUMENT, "options": options})).arguments
    assert (arguments["on_drift"], arguments["backup"]) == ("live", True)
    (vm,) = arguments["vms"]
    assert vm["autostart"] is True
    assert vm["root_volume"]["format"] == "raw"
    assert vm["root_volume"]["install_path"] == "/images/web.qcow2"


def test_the_timeout_is_the_one_that_counts_in_the_end() -> None:
    assert read_request(json.dumps({**DOCUMENT, "timeout": 90})).timeout == 90
    assert read_request(json.dumps({**DOCUMENT, "timeout": 90, "options": {"timeout": "120"}})).timeout == 120


def test_options_of_the_module_that_concern_one_vm_are_taken() -> None:
    assert set(request._MODULE_OPTIONS) == set(ARGUMENT_SPEC) - {"vms", "uri", "authfile", "parallel"}


def test_fields_that_are_not_known_are_a_warning() -> None:
    (warning,) = read_request(json.dumps({**DOCUMENT, "hostKernel": "6.1"})).warnings
    assert "hostKernel" in warning


def test_options_that_are_not_known_are_an_error() -> None:
    (problem,) = problems(options={"autostrat": True})
    assert "autostrat" in problem


@pytest.mark.parametrize("option", ["uuid", "host_management_ip"])
def test_an_option_changes_neither_vm_nor_host(option: str) -> None:
    assert problems(options={option: DOCUMENT["vmInstanceUuid"]})[0].startswith("options.%s:" % option)


def test_all_problems_are_named_at_once_without_secrets() -> None:
    found = problems(cpuNum=0, consolePassword="too-long-for-vnc", options={"on_drift": "explode"}, hostManagementIp="")
    assert len(found) == 4
    assert "too-long-for-vnc" not in str(found)


def test_problems_of_fields_and_of_values_are_one_list_that_names_each_once() -> None:
    volume = {"installPath": "images/web", "deviceType": 7}
    found = problems(vmName=1, cpuNum=0, rootVolume=volume, nics=[{"mac": "x"}], addons={"pciDevice": [1]}, memory="2")
    assert [problem.partition(" ")[0] for problem in found] == [
        "vmName",
        "rootVolume.deviceType",
        "nics[0].bridgeName",
        "addons.pciDevice[0]",
        "memory:",
        "cpu_num:",
    ]


def test_the_address_is_written_as_inventories_write_it() -> None:
    text = json.dumps({**DOCUMENT, "hostManagementIp": "FD00:0:0::7"})
    assert read_request(text).arguments["vms"][0]["host_management_ip"] == "fd00::7"


@pytest.mark.parametrize("name", ["__ansible_type", "__ansible_unsafe", "autostart", "anything"])
def test_options_that_are_null_are_left_out(name: str) -> None:
    options = {name: None, "root_volume": {name: None}, "data_volumes": [{"install_path": "/images/2", name: None}]}
    (vm,) = read_request(json.dumps({**DOCUMENT, "options": options})).arguments["vms"]
    assert (name in vm, name in vm["root_volume"], vm["data_volumes"]) == (
        False,
        False,
        [{"install_path": "/images/2"}],
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"options": ' * 500 + "1" + "}" * 500, "nested"),
        ('{"memory": 1e999}', "not finite"),
        ('{"options": {"name": "\\ud800"}}', "surrogate"),
        ('{"options": {"boot_dev": [' + "1," * 400_000 + "1]}}", "more than 20000 values"),
    ],
)
def test_a_document_that_describes_no_vm_is_one_problem(text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem) as caught:
        read_request(text)
    assert len(caught.value.problems) == 1


def test_many_problems_are_a_hundred_and_how_many_more_there_are() -> None:
    begun = time.process_time()
    found = problems(options={"boot_dev": ["hdd"] * 9000, **{f"memry{number}": 1 for number in range(5000)}})
    assert time.process_time() - begun < 2
    assert (len(found), found[-1]) == (101, "vms: have 13900 more problems")
