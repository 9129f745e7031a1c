# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine types of definitions that the host's QEMU no longer has."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._drift.missing_machine import (
    MissingMachine,
    missing_machine,
    missing_machine_problem,
    saved_memory_problem,
    with_machine,
)
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

QEMU = "/usr/bin/qemu-system-x86_64"
QEMU_OF_EL = "/usr/libexec/qemu-kvm"
OLD_PC = MissingMachine("pc-i440fx-5.1", QEMU, "pc-i440fx-11.1")
OLD_Q35_OF_EL = MissingMachine("pc-q35-rhel7.6.0", QEMU_OF_EL, "pc-q35-rhel9.6.0")


def desired_on(host: str, **options: Any) -> etree._Element:
    return build(parsed_vm(**{"domain_type": "qemu", **options}), recorded_host(host), StorageFacts()).element


def missing_on(host: str, defined: str, **options: Any) -> Optional[MissingMachine]:
    """Return what is missing for a VM that was defined with a machine type before its host was upgraded."""
    vm = parsed_vm(**{"domain_type": "qemu", **options})
    desired = desired_on(host, **options)
    return missing_machine(vm, desired, with_machine(desired, defined), recorded_host(host).capabilities)


@pytest.mark.parametrize(
    ("host", "defined", "options", "missing"),
    [
        ("debian-unstable", "pc-i440fx-5.1", {}, OLD_PC),
        (
            "debian-unstable",
            "pc-i440fx-5.1",
            {"machine": "pc"},
            OLD_PC,
        ),
        ("debian-unstable", "pc-q35-4.2", {"machine": "q35"}, MissingMachine("pc-q35-4.2", QEMU, "pc-q35-11.1")),
        (
            "el-9",
            "pc-q35-rhel7.6.0",
            {"machine": "q35"},
            OLD_Q35_OF_EL,
        ),
        # The default is q35 here, but a default moves no VM to another board.
        ("el-10", "pc-i440fx-rhel7.6.0", {}, MissingMachine("pc-i440fx-rhel7.6.0", QEMU_OF_EL, None)),
    ],
)
def test_a_version_that_the_emulator_lacks_is_missing(
    host: str, defined: str, options: dict[str, Any], missing: MissingMachine
) -> None:
    assert missing_on(host, defined, **options) == missing


@pytest.mark.parametrize(
    ("host", "defined", "options"),
    [
        ("debian-unstable", "pc-i440fx-5.2", {}),
        ("debian-13", "pc-i440fx-5.1", {}),
        ("debian-unstable", "pc-i440fx-5.1", {"machine": "q35"}),
        ("debian-unstable", "pc-i440fx-5.1", {"machine": "pc-i440fx-9.0"}),
        ("el-10", "pc-i440fx-rhel7.6.0", {"machine": "q35"}),
        # libvirt knows best about another emulator.
        ("debian-unstable", "pc-i440fx-5.1", {"emulator": "/opt/qemu"}),
    ],
)
def test_a_version_that_the_emulator_has_or_that_is_not_kept_is_not_missing(
    host: str, defined: str, options: dict[str, Any]
) -> None:
    assert missing_on(host, defined, **options) is None


def test_nothing_is_missing_without_a_definition() -> None:
    vm, host = parsed_vm(domain_type="qemu"), "debian-unstable"

    assert missing_machine(vm, desired_on(host), None, recorded_host(host).capabilities) is None


def test_nothing_is_missing_on_another_architecture() -> None:
    vm = parsed_vm(domain_type="qemu", arch="x86_64")
    existing = desired_on("debian-unstable", arch="aarch64")

    assert (
        missing_machine(vm, desired_on("debian-unstable"), existing, recorded_host("debian-unstable").capabilities)
        is None
    )


def test_a_moved_vm_differs_in_its_machine_type_only() -> None:
    desired = desired_on("debian-unstable")
    existing = reconcile(desired, with_machine(desired, "pc-i440fx-2.9")).merged

    moved = reconcile(with_machine(desired, "pc-i440fx-11.1"), existing)

    assert moved.differences == (Difference("os/type/@machine", "pc-i440fx-2.9", "pc-i440fx-11.1"),)
    assert not moved.other_board
    assert reconcile(desired, moved.merged).differences == ()


@pytest.mark.parametrize(
    ("newest", "message", "hint"),
    [
        (
            "pc-i440fx-11.1",
            "vms[0].machine: the domain has the machine type pc-i440fx-2.9, which /usr/bin/qemu no longer has",
            "Set on_missing_machine to newest: the guest gets the board in its version pc-i440fx-11.1.",
        ),
        (
            None,
            "vms[0].machine: the domain has the machine type pc-i440fx-2.9, which /usr/bin/qemu no longer has, nor "
            "another of the same board",
            "Set machine to a type of another board: the guest gets new hardware.",
        ),
    ],
)
def test_the_problem_says_how_to_move_the_vm(newest: Optional[str], message: str, hint: str) -> None:
    problem = missing_machine_problem(parsed_vm(), MissingMachine("pc-i440fx-2.9", "/usr/bin/qemu", newest))

    assert (str(problem), problem.code, problem.hint) == (message, "unsupported_machine", hint)


def test_saved_memory_can_only_be_discarded_or_restored_elsewhere() -> None:
    missing = MissingMachine("pc-i440fx-2.9", "/usr/bin/qemu", "pc-i440fx-11.1")

    problem = saved_memory_problem(parsed_vm(), missing)

    assert problem.message == (
        "the VM's memory was saved on the machine type pc-i440fx-2.9, which /usr/bin/qemu no longer has"
    )
    assert problem.hint == "Restore the VM on a hypervisor that has it, or set saved_state to discard."
