# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hanging QEMU is queried once, and only a limited number of hanging QEMUs are queried at all."""

from __future__ import annotations

from typing import NoReturn

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.circuit_breaker import CircuitBreaker
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import SLOW_CALLS_AT_ONCE


def fail(code: str) -> NoReturn:
    raise VmError(code, "no answer")


def hang(breaker: CircuitBreaker, uuid: str) -> None:
    with pytest.raises(VmError):
        breaker.ask(uuid, lambda: fail("qemu_hangs"))


def test_a_hanging_qemu_is_not_queried_again() -> None:
    breaker, requests = CircuitBreaker(), []
    hang(breaker, "a")
    with pytest.raises(VmError, match="no answer"):
        breaker.ask("a", lambda: requests.append("a"))
    assert requests == []


def test_the_error_of_one_that_hangs_is_kept() -> None:
    breaker = CircuitBreaker()
    assert breaker.lost_with("a") is None
    hang(breaker, "a")
    error = breaker.lost_with("a")
    assert error is not None and error.message == "no answer"


def test_another_error_prevents_no_further_queries() -> None:
    breaker = CircuitBreaker()
    with pytest.raises(VmError):
        breaker.ask("a", lambda: fail("libvirt_error"))
    assert breaker.ask("a", lambda: "an answer") == "an answer"


def test_others_are_queried_until_the_limit_of_hanging_qemus() -> None:
    breaker = CircuitBreaker()
    for number in range(SLOW_CALLS_AT_ONCE):
        assert breaker.ask("whole", lambda: "an answer") == "an answer"
        hang(breaker, str(number))
    with pytest.raises(VmError, match="not queried, because %d other VMs have not answered" % SLOW_CALLS_AT_ONCE):
        breaker.ask("whole", lambda: "an answer")
    assert breaker.lost_with("whole") is None
