# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors, problems and failures have one form in the result."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import (
    BootDiagnostics,
    Failure,
    Problem,
    VmError,
    VmFailed,
    VmProblems,
    internal_errors,
)

REFUSED = VmError("libvirt_error", "no", "do that", 8, "invalid argument", 20)


def test_a_problem_reads_as_its_path_and_message() -> None:
    assert str(Problem("vms[0].name", "is required")) == "vms[0].name: is required"


def test_problems_are_one_exception_with_all_of_them() -> None:
    both = (Problem("a", "is wrong"), Problem("b", "too"))
    error = VmProblems(list(both))
    assert (str(error), error.problems) == ("a: is wrong; b: too", both)


def test_an_error_is_replaced_in_parts() -> None:
    replaced = vars(REFUSED.replaced(code="vm_busy", message="later"))
    assert replaced == {**vars(REFUSED), "code": "vm_busy", "message": "later"}


@pytest.mark.parametrize("name", ["code", "message", "hint", "libvirt_code", "libvirt_message", "libvirt_source"])
def test_an_error_is_immutable(name: str) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        setattr(VmError("vm_busy", "a job is running"), name, "")


def test_an_error_can_be_raised_from_another() -> None:
    with pytest.raises(VmError) as caught:
        raise VmError("vm_busy", "a job is running") from REFUSED
    assert caught.value.__cause__ is REFUSED


@pytest.mark.parametrize(
    ("code", "expected"), [("connection_lost", True), ("libvirt_hangs", True), ("libvirt_error", False)]
)
def test_libvirt_is_lost(code: str, expected: bool) -> None:
    assert VmError(code, "m").lost_libvirt is expected


@pytest.mark.parametrize(
    ("number", "expected"), [(55, True), (86, True), (97, True), (111, True), (8, False), (None, False)]
)
def test_the_agent_is_silent(number: Optional[int], expected: bool) -> None:
    assert VmError("c", "m", libvirt_code=number).agent_is_silent is expected


def test_a_failure_has_all_its_fields_in_the_result() -> None:
    diagnostics = BootDiagnostics(("boot",), ("qemu",), "/shot.png")
    assert Failure(REFUSED, "start", "done", diagnostics).as_result() == {
        "code": "libvirt_error",
        "message": "no",
        "hint": "do that",
        "phase": "start",
        "libvirt": {"code": 8, "message": "invalid argument"},
        "rollback": "done",
        "boot_diagnostics": {"serial_console": ["boot"], "qemu_log": ["qemu"], "screenshot": "/shot.png"},
    }


def test_a_failure_without_libvirts_error_and_diagnostics_has_none() -> None:
    result = Failure(VmError("vm_busy", "m"), "start").as_result()
    assert (result["libvirt"], result["rollback"], "boot_diagnostics" in result) == (None, "not_needed", False)


@pytest.mark.parametrize(
    "error",
    [REFUSED, VmFailed(Failure(REFUSED, "start")), VmProblems([Problem("a", "b")])],
    ids=["error", "failure", "problems"],
)
def test_an_expected_exception_is_raised_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, internal_errors():
        raise error
    assert caught.value is error


def test_an_unexpected_exception_is_an_internal_error() -> None:
    with pytest.raises(VmError) as caught, internal_errors():
        raise KeyError("a")
    assert (caught.value.code, caught.value.message) == ("internal_error", "KeyError: 'a'")
