# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._spec.arguments import VM_ARGUMENT_SPEC
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.secret_patches import is_secret, texts_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import DomainPatch
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import (
    MASK,
    VmResult,
    masked_arguments,
    without_secrets_of_patches,
)

VALUE = "<qemu:env name='TOKEN' value=\"hun&amp;ter2\"/><title>Sekret</title>"


def patch(**options: Any) -> dict[str, Any]:
    return {"action": "add", "xpath": "/domain", "value": VALUE, **options}


@pytest.mark.parametrize("no_log", [True, "yes", 1, "perhaps", ["x"]])
def test_a_value_is_a_secret_if_it_is_said_to_be(no_log: Any) -> None:
    vms = [{"domain_patches": [patch(no_log=no_log)]}]
    assert {VALUE, "TOKEN", "hun&ter2", "hun&amp;ter2", "Sekret"} <= secrets_of(vms)
    (shown,) = masked_arguments(vms, VM_ARGUMENT_SPEC)[0]["domain_patches"]
    assert (shown["value"], shown["xpath"]) == (MASK, "/domain")


@pytest.mark.parametrize("no_log", [None, False, "no"])
def test_else_it_is_shown(no_log: Any) -> None:
    vms = [{"domain_patches": [patch(no_log=no_log)]}]
    assert (is_secret(no_log), secrets_of(vms)) == (False, set())
    assert masked_arguments(vms, VM_ARGUMENT_SPEC)[0]["domain_patches"][0]["value"] == VALUE


def test_the_diff_and_the_differences_do_not_show_it() -> None:
    result = VmResult("u", "n", before="<domain/>", after="<domain><title>Sekret</title></domain>")
    result.differences = [Difference("title", None, "Sekret")]
    vm: Any = SimpleNamespace(domain_patches=(DomainPatch("p", "add", "/domain", VALUE, no_log=True),))
    without_secrets_of_patches(result, vm)
    assert result.after == f"<domain><title>{MASK}</title></domain>"
    assert result.differences == [Difference("title", None, MASK)]


def test_a_text_that_is_no_xml_is_one_text() -> None:
    assert set(texts_of("Sekret")) == {"Sekret"}
