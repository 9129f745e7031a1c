# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any input gives VMs or problems, never an exception, and only VMs that later code can handle."""

from __future__ import annotations

from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import StartVmCmdError, read_document
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.tests.support.vm_strategies import damaged_vms, garbage, parsed_vms, vms
from hypothesis import HealthCheck, given, settings

few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
many = settings(few, max_examples=200)


@few
@given(vms())
def test_what_the_spec_allows_is_a_vm(raw: dict[str, Any]) -> None:
    result, problems = parse_vms([raw])
    assert problems == []
    assert result[0].name == raw["name"]


@few
@given(parsed_vms())
def test_a_vm_has_all_that_follows_from_something_else(vm: Vm) -> None:
    product = (vm.socket_num or 0) * (vm.cpu_on_socket or 0) * vm.threads_per_core
    assert vm.use_numa or product == vm.cpu_num
    assert [volume.device_id for volume in vm.volumes] == sorted({volume.device_id for volume in vm.volumes})
    assert all(nic.mac for nic in vm.nics)


@few
@given(damaged_vms())
def test_a_damaged_vm_is_a_vm_or_problems_inside_of_it(raw: dict[str, Any]) -> None:
    result, problems = parse_vms([raw])
    assert bool(result) != bool(problems)
    for problem in problems:
        assert problem.option_path.startswith("vms[0]")
        assert len(str(problem)) < 500
    secrets_of([raw])


@many
@given(garbage())
def test_garbage_is_a_list_of_problems(raw: Any) -> None:
    result, problems = parse_vms(raw)
    assert (result, bool(problems)) == ((), raw != [])
    secrets_of(raw)


@many
@given(garbage())
def test_garbage_is_no_start_vm_cmd(raw: Any) -> None:
    try:
        problems = read_document(raw).problems
    except StartVmCmdError as error:
        problems = error.problems
    assert problems != []
