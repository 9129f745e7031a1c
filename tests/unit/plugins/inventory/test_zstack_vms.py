# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time limits of the inventory for a hypervisor that has opened a connection."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.inventory import zstack_vms
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError


class Connection:
    """A connection that records whether it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_a_hypervisor_that_does_not_finish_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, goes_on = Connection(), threading.Event()

    def endless(*_arguments: Any, **_options: Any) -> list[Any]:
        goes_on.wait()
        return []

    monkeypatch.setattr("%s.Hypervisor.connect" % zstack_vms.__name__, lambda uri, seconds: connection)
    monkeypatch.setattr(zstack_vms, "vm_information", endless)
    error = zstack_vms._vms_of("qemu:///system", 1, 0)
    goes_on.set()
    assert isinstance(error, VmError)
    assert (error.code, error.message) == (
        'libvirt_hangs', 'libvirt at qemu:///system has not reported its VMs within 0 seconds',
    )  # fmt: skip
    assert connection.closed.wait(10)
