# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The builders of a domain know the kind of its machine, and the paths of the VM's options."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.context import BuildContext
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DomainKind
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm


def context(arch: str = "x86_64", domain_type: str = "kvm") -> BuildContext:
    unused: Any = None
    return BuildContext(parsed_vm(), unused, DomainKind(None, arch, "pc", domain_type), unused, unused, unused, unused)


def test_an_option_has_its_path_in_the_input() -> None:
    assert context().option_path("nics[0].mac") == "vms[0].nics[0].mac"


@pytest.mark.parametrize(("arch", "expected"), [("aarch64", True), ("x86_64", False)])
def test_the_machine_is_an_aarch64_one(arch: str, expected: bool) -> None:
    assert context(arch=arch).is_aarch64 is expected


@pytest.mark.parametrize(("domain_type", "expected"), [("qemu", True), ("kvm", False)])
def test_the_cpu_is_emulated(domain_type: str, expected: bool) -> None:
    assert context(domain_type=domain_type).is_emulated is expected


def test_each_vm_has_its_own_warnings_and_missing_things() -> None:
    one, other = context(), context()
    one.warnings.append("w")
    assert (other.warnings, other.missing) == ([], [])
