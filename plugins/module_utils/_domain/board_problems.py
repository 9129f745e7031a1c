# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a VM's machine type cannot have, on any host."""

from __future__ import annotations

from collections.abc import Iterator

from .._errors.errors import Problem
from .._host.capabilities import DomainKind, is_q35
from .._spec.vm import Vm

_UEFI = ("uefi", "uefi_with_csm")


def board_problems(vm: Vm, kind: DomainKind) -> Iterator[Problem]:
    """Yield the problems of Secure Boot, TPM and ACPI with this machine type."""
    if kind.arch == "aarch64":
        return
    if not is_q35(kind.machine):
        for option, name, is_desired in (("secure_boot", "Secure Boot", vm.secure_boot), ("tpm", "a TPM", vm.tpm)):
            if is_desired:
                message = "%s needs a machine of type q35, not %s" % (name, kind.machine)
                yield _impossible(vm, option, message, "set machine to q35, or leave %s out" % option)
    if vm.secure_boot and vm.firmware is None:
        yield _impossible(vm, "secure_boot", "Secure Boot needs firmware uefi", "set firmware to uefi")
    if vm.firmware in _UEFI and not vm.acpi:
        message = "firmware %s needs ACPI, but acpi is false" % vm.firmware
        yield _impossible(vm, "acpi", message, "set acpi to true, or firmware to bios")


def _impossible(vm: Vm, option: str, message: str, hint: str) -> Problem:
    return Problem("%s.%s" % (vm.option_path, option), message, "impossible_layout", hint)
