# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs whose machine type no longer exists: an error, or moved to the newest, depending on the policy."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._drift.missing_machine import with_machine
from ansible_collections.zstack.kvm.plugins.module_utils._start.machine_types import MachineTypes
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

HOST = recorded_host("debian-unstable")
GONE, OLD, NEWEST = "pc-i440fx-2.9", "pc-i440fx-9.0", "pc-i440fx-11.1"
PATCH = {"action": "set", "xpath": "on_crash", "value": "preserve"}


def machine_types(
    defined: Optional[str], live: Optional[str] = None, moves: bool = True, **options: Any
) -> MachineTypes:
    vm = parsed_vm(domain_type="qemu", **options)
    desired = build(vm, HOST, StorageFacts())
    existing, running = (each and with_machine(desired.element, each) for each in (defined, live))
    return MachineTypes(vm, desired, existing, running, HOST.capabilities, moves)


def machine_of(desired: DesiredDomain) -> str:
    return str(desired.element.find("os/type").get("machine"))


def test_a_machine_type_that_is_gone_is_a_problem() -> None:
    types = machine_types(GONE, moves=False)

    assert [problem.code for problem in types.problems(restores=False)] == ["unsupported_machine"]
    assert machine_of(types.to_define) == "pc"


def test_a_vm_that_only_runs_on_is_warned_of() -> None:
    assert len(machine_types(GONE, GONE, moves=False).warnings()) == 1
    assert machine_types(OLD, OLD, moves=False).warnings() == []


def test_a_vm_is_moved_to_the_newest_of_its_board() -> None:
    types = machine_types(GONE)

    assert types.problems(restores=False) == []
    assert (machine_of(types.to_define), machine_of(types.to_run)) == (NEWEST, "pc")


def test_what_runs_on_one_that_is_gone_differs_until_its_next_boot() -> None:
    types = machine_types(NEWEST, GONE)

    assert (machine_of(types.to_define), machine_of(types.to_run)) == ("pc", NEWEST)


def test_a_version_that_the_host_has_stays() -> None:
    types = machine_types(OLD, OLD)

    assert (machine_of(types.to_define), machine_of(types.to_run)) == ("pc", "pc")


def test_a_patched_domain_is_moved_with_the_one_that_it_was_made_from() -> None:
    types = machine_types(GONE, domain_patches=[PATCH])

    assert types.to_define.unpatched is not None
    assert types.to_define.unpatched.find("os/type").get("machine") == machine_of(types.to_define) == NEWEST


def test_saved_memory_is_not_restored_on_another_machine_type() -> None:
    assert [problem.hint for problem in machine_types(GONE).problems(restores=True)] == [
        "Restore the VM on a hypervisor that has it, or set saved_state to discard."
    ]
