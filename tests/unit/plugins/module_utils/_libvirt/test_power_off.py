# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shutdown is requested repeatedly until the guest is off; a VM that is off or gone is not a failure."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import power_off
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor


class Guest:
    """A VM whose guest shuts down at the request with that number; C(error): what libvirt raises at each request."""

    def __init__(self, shuts_down_at: int = 0, error: str = "") -> None:
        self.domain = FakeDomain()
        self.hypervisor: Any = FakeHypervisor({UUID: self.domain})
        self.hypervisor.on_shutdown = self._on_shutdown
        self.requests = 0
        self._shuts_down_at = shuts_down_at
        self._error = error

    def is_off(self) -> bool:
        return not self.domain.is_active

    def shut_down(self, seconds: int) -> bool:
        return power_off.shut_down(self.hypervisor, UUID, self.is_off, seconds, threading.Event())

    def _on_shutdown(self, domain: FakeDomain) -> None:
        self.requests += 1
        if self.requests == self._shuts_down_at:
            domain.state = "shutoff"
        if self._error:
            raise VmError(self._error, "no")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_off, "wait_until", lambda condition, seconds, cancelled: condition())


@pytest.mark.parametrize(
    ("shuts_down_at", "seconds", "requests", "is_off"), [(1, 60, 1, True), (3, 60, 3, True), (4, 15, 3, False)]
)
def test_a_shutdown_is_requested_every_five_seconds_until_the_guest_is_off(
    shuts_down_at: int, seconds: int, requests: int, is_off: bool
) -> None:
    guest = Guest(shuts_down_at)
    assert (guest.shut_down(seconds), guest.requests) == (is_off, requests)


def test_a_request_waits_no_longer_than_what_is_left() -> None:
    guest = Guest()
    guest.shut_down(12)
    assert [call[2] for call in guest.hypervisor.calls] == [5, 5, 2]


def test_without_time_there_is_no_request() -> None:
    guest = Guest(1)
    assert (guest.shut_down(0), guest.requests) == (False, 0)


def test_an_error_of_a_vm_that_has_gone_off_is_none() -> None:
    assert Guest(1, "libvirt_error").shut_down(60) is True


def test_an_error_of_a_vm_that_runs_is_one() -> None:
    with pytest.raises(VmError) as caught:
        Guest(0, "qemu_hangs").shut_down(60)
    assert caught.value.code == "qemu_hangs"


@pytest.mark.parametrize("is_off", [True, False])
def test_forcing_off_fails_only_where_the_vm_still_runs(is_off: bool) -> None:
    hypervisor: Any = FakeHypervisor()
    if is_off:
        power_off.force_off(hypervisor, UUID, lambda: True)
    else:
        with pytest.raises(VmError, match="there is no such domain"):
            power_off.force_off(hypervisor, UUID, lambda: False)


def test_a_domain_that_is_gone_is_absent() -> None:
    hypervisor: Any = FakeHypervisor({UUID: FakeDomain("paused", "user")})
    assert power_off.current_state(hypervisor, UUID) == ("paused", "user")
    del hypervisor.domains[UUID]
    assert power_off.current_state(hypervisor, UUID) == ("absent", "unknown")


def test_a_state_that_libvirt_does_not_report_is_an_error() -> None:
    hypervisor: Any = FakeHypervisor({UUID: FakeDomain()})
    hypervisor.errors["state"] = VmError("qemu_hangs", "no")
    with pytest.raises(VmError) as caught:
        power_off.current_state(hypervisor, UUID)
    assert caught.value.code == "qemu_hangs"
