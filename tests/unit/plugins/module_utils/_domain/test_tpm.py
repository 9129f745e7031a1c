# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual TPM, and definitions whose removal loses its state."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.tpm import may_lose_tpm_state
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import (
    attributes,
    built,
    domain,
    host_with,
)
from lxml import etree

SECRET = "01b89b13-059a-b01b-69b0-43f2da0ddc92"
TPM: dict[str, Any] = {"machine": "q35", "tpm": {}}


def test_swtpm_emulates_a_tpm_of_version_2() -> None:
    assert attributes(domain(**TPM), "devices/tpm/backend") == [{"type": "emulator", "version": "2.0"}]


def test_a_vm_without_the_option_has_none() -> None:
    assert domain(machine="q35").find("devices/tpm") is None


@pytest.mark.parametrize(
    ("models", "model"),
    [(("tpm-tis", "tpm-crb"), "tpm-crb"), (("tpm-tis",), "tpm-tis"), ((), "tpm-crb"), (None, "tpm-crb")],
)
def test_the_guest_has_the_newer_interface_if_the_machine_has_it(models: Optional[tuple[str, ...]], model: str) -> None:
    assert attributes(domain(host_with("el-9", tpm_models=models), **TPM), "devices/tpm") == [{"model": model}]


@pytest.mark.parametrize(("tpm", "secrets"), [({}, []), ({"secret_uuid": SECRET}, [{"secret": SECRET}])])
def test_a_secret_encrypts_its_state(tpm: dict[str, str], secrets: list[dict[str, str]]) -> None:
    assert attributes(domain(machine="q35", tpm=tpm), "devices/tpm/backend/encryption") == secrets


@pytest.mark.parametrize(
    ("backends", "codes"),
    [(("emulator",), []), (None, []), (("passthrough",), ["unsupported_device"]), ((), ["unsupported_device"])],
)
def test_a_host_without_swtpm_lacks_it(backends: Optional[tuple[str, ...]], codes: list[str]) -> None:
    desired = built(host_with("el-9", tpm_backends=backends), **TPM)

    assert [problem.code for problem in desired.missing] == codes


def test_what_to_install_is_said() -> None:
    (problem,) = built(host_with("el-9", tpm_backends=()), **TPM).missing

    assert (str(problem), problem.hint) == (
        "vms[0].tpm: the host has no swtpm, which emulates a TPM",
        "install swtpm and swtpm-tools on the hypervisor",
    )


@pytest.mark.parametrize(
    ("backends", "may_lose"),
    [
        ("", False),
        ('<backend type="passthrough"/>', False),
        ('<backend type="emulator" persistent_state="yes"/>', False),
        ('<backend type="emulator"/>', True),
        ('<backend type="emulator" persistent_state="no"/>', True),
    ],
)
def test_libvirt_removes_the_state_of_an_emulated_tpm_that_is_not_persistent(backends: str, may_lose: bool) -> None:
    definition = "<domain><devices><tpm>%s</tpm></devices></domain>" % backends

    assert may_lose_tpm_state(etree.fromstring(definition)) == may_lose
