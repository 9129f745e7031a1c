# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secure Boot, a TPM and UEFI on machine types that cannot have them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.board_problems import board_problems
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DomainKind
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Tpm
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

SECURE = {"firmware": "uefi", "secure_boot": True}
TPM = {"tpm": Tpm(None)}


def problems(machine: str, arch: str = "x86_64", **fields: Any) -> list[Problem]:
    vm = parsed_vm()._replace(**fields)
    return list(board_problems(vm, DomainKind(None, arch, machine, "kvm")))


@pytest.mark.parametrize(
    ("machine", "fields"),
    [
        ("pc", {}),
        ("pc", {"firmware": "uefi"}),
        ("pc", {"firmware": "bios", "acpi": False}),
        ("q35", {**SECURE, **TPM}),
        ("pc-q35-6.2", {**SECURE, **TPM}),
    ],
)
def test_a_machine_that_can_have_its_options(machine: str, fields: dict[str, Any]) -> None:
    assert problems(machine, **fields) == []


@pytest.mark.parametrize(
    ("machine", "fields", "problem"),
    [
        ("pc", SECURE, "vms[0].secure_boot: Secure Boot needs a machine of type q35, not pc"),
        ("pc-i440fx-2.9", TPM, "vms[0].tpm: a TPM needs a machine of type q35, not pc-i440fx-2.9"),
        ("q35", {"secure_boot": True}, "vms[0].secure_boot: Secure Boot needs firmware uefi"),
        ("q35", {"firmware": "uefi", "acpi": False}, "vms[0].acpi: firmware uefi needs ACPI, but acpi is false"),
        (
            "pc",
            {"firmware": "uefi_with_csm", "acpi": False},
            "vms[0].acpi: firmware uefi_with_csm needs ACPI, but acpi is false",
        ),
    ],
)
def test_an_option_that_the_machine_cannot_have(machine: str, fields: dict[str, Any], problem: str) -> None:
    assert [(str(found), found.code) for found in problems(machine, **fields)] == [(problem, "impossible_layout")]


@pytest.mark.parametrize(
    ("fields", "hints"),
    [
        (
            {"secure_boot": True, **TPM},
            [
                "set machine to q35, or leave secure_boot out",
                "set machine to q35, or leave tpm out",
                "set firmware to uefi",
            ],
        ),
        (
            {**SECURE, "acpi": False},
            ["set machine to q35, or leave secure_boot out", "set acpi to true, or firmware to bios"],
        ),
    ],
)
def test_all_problems_are_listed_at_once_each_with_its_way_out(fields: dict[str, Any], hints: list[str]) -> None:
    assert [found.hint for found in problems("pc", **fields)] == hints


def test_the_board_of_aarch64_has_neither_limit() -> None:
    assert problems("virt", "aarch64", secure_boot=True, acpi=False, **TPM) == []
