# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a VM that is being changed, read through restarts of libvirtd."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, context_of

LOST = VmError("connection_lost", "gone")


@pytest.mark.parametrize(
    ("domains", "state", "is_off"),
    [
        ({UUID: FakeDomain("running", "booted")}, "running", False),
        ({UUID: FakeDomain("crashed", "panicked")}, "crashed", False),
        ({UUID: FakeDomain("shutoff", "destroyed")}, "shutoff", True),
        ({}, "absent", True),
    ],
)
def test_the_state_that_was_read_last_is_kept(domains: dict[str, FakeDomain], state: str, is_off: bool) -> None:
    context = context_of(FakeHypervisor(domains))
    assert context.is_off() is is_off
    assert context.state == state


def test_a_vm_that_is_gone_has_no_known_reason() -> None:
    assert context_of(FakeHypervisor()).look() == ("absent", "unknown")


def test_a_state_that_cannot_be_read_is_not_that_of_a_vm_that_is_gone() -> None:
    libvirt = FakeHypervisor({UUID: FakeDomain()})
    libvirt.errors["state"] = VmError("libvirt_error", "no")
    with pytest.raises(VmError, match="no"):
        context_of(libvirt).look()


def test_a_lost_call_is_made_again_through_a_new_connection() -> None:
    libvirt = FakeHypervisor({UUID: FakeDomain()})
    libvirt.errors["destroy"] = LOST
    context_of(libvirt).retried(lambda: libvirt.destroy(UUID))
    assert libvirt.changes == [("destroy", UUID), ("reconnect",), ("destroy", UUID)]


def test_a_call_that_fails_otherwise_is_not_made_again() -> None:
    libvirt = FakeHypervisor({UUID: FakeDomain()})
    libvirt.errors["destroy"] = VmError("qemu_hangs", "no")
    with pytest.raises(VmError):
        context_of(libvirt).retried(lambda: libvirt.destroy(UUID))
    assert libvirt.changes == [("destroy", UUID)]


def test_a_wait_ends_when_the_task_is_interrupted() -> None:
    context = context_of(FakeHypervisor())
    context.cancelled.set()
    with pytest.raises(VmError) as caught:
        context.wait_for(lambda: False, 60)
    assert caught.value.code == "interrupted"
