# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of objects that VMs share: any domain whose definition or live XML may name the object."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.shared_objects import (
    secret_lock,
    shared_name,
    used_by_another,
)
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, FakeSystem, context_of

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
USER = "<secret uuid='the secret'/>"


@pytest.mark.parametrize(
    ("uuid", "domain", "used"),
    [
        (UUID, FakeDomain(defined=USER, running=USER), False),
        (OTHER, FakeDomain(), False),
        (OTHER, FakeDomain("shutoff", defined=USER), True),
        (OTHER, FakeDomain(running=USER), True),
        # Its live XML no longer has the secret, but its definition has.
        (OTHER, FakeDomain(defined=USER), True),
    ],
)
def test_a_user_is_another_domain_that_names_it(uuid: str, domain: FakeDomain, used: bool) -> None:
    assert used_by_another(context_of(FakeHypervisor({uuid: domain})), "the secret") is used


@pytest.mark.parametrize(("code", "used"), [("qemu_hangs", True), ("domain_gone", False)])
def test_a_domain_that_cannot_be_read_may_be_a_user_unless_it_is_gone(code: str, used: bool) -> None:
    libvirt = FakeHypervisor({OTHER: FakeDomain()})
    libvirt.errors["xml"] = VmError(code, "no")
    assert used_by_another(context_of(libvirt), "the secret") is used


def test_its_users_are_unknown_while_libvirt_is_lost() -> None:
    libvirt = FakeHypervisor({OTHER: FakeDomain()})
    libvirt.errors["xml"] = VmError("connection_lost", "gone")
    with pytest.raises(VmError):
        used_by_another(context_of(libvirt), "the secret")


def test_its_lock_is_a_file_whose_name_does_not_show_what_it_is_of() -> None:
    class Locks(FakeSystem):
        def shared_lock(self, name: str, label: str) -> object:
            assert (name, label) == (shared_name("u-u-i-d"), "the secret u-u-i-d")
            return super().shared_lock(name, label)

    with secret_lock(Locks(), "u-u-i-d"):
        assert "u-u-i-d" not in shared_name("u-u-i-d")
        assert shared_name("u-u-i-d") != shared_name("another")
