# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets that a VM still needs. Setting them is tested with real libvirt."""

from __future__ import annotations

import base64
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.secrets import plan_secrets, secret_conflicts
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import CephSecret
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakeSecret

UUID = "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab"
KEY = b"a key"
VM: Any = SimpleNamespace(
    option_path="vms[0]", volumes=(), ceph_secret=CephSecret(UUID, base64.b64encode(KEY).decode())
)
PRIVATE = FakeSecret(UUID, private=True)


def planned(*secrets: FakeSecret) -> list[str]:
    return [action.name for action in plan_secrets(VM, StorageFacts(), FakeHypervisor(secrets=secrets))]


def test_one_that_is_missing_is_defined() -> None:
    assert planned() == ["define_secret"]


@pytest.mark.parametrize("value", [None, b"another key"])
def test_one_without_the_value_gets_it(value: Optional[bytes]) -> None:
    assert planned(FakeSecret(UUID, value=value)) == ["set_secret_value"]


def test_one_that_has_it_is_left_alone() -> None:
    assert planned(FakeSecret(UUID, value=KEY)) == []


def test_a_private_secret_gets_its_value_once_per_task() -> None:
    assert planned(PRIVATE) == ["set_secret_value"]
    assert planned(replace(PRIVATE, given=KEY)) == []


@pytest.mark.parametrize(("kind", "words"), [("volume", "for volume"), ("none", "for no particular use")])
def test_one_that_is_for_something_else_is_a_problem_before_anything_is_done(kind: str, words: str) -> None:
    libvirt: Any = FakeHypervisor(secrets=[FakeSecret(UUID, kind, value=b"a passphrase")])
    (problem,) = secret_conflicts(VM, StorageFacts(), libvirt)
    assert (problem.option_path, problem.code) == ("vms[0].ceph_secret", "secret_conflict")
    assert words + " instead of ceph" in problem.message


def test_one_that_is_for_the_same_is_no_problem() -> None:
    libvirt: Any = FakeHypervisor(secrets=[FakeSecret(UUID, usage="by hand", value=KEY)])
    assert secret_conflicts(VM, StorageFacts(), libvirt) == []
