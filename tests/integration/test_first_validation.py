# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""If two threads of a new libvirtd read its schema at once, libxml2 reports a missing type.

This race can't be provoked, so a stand-in for the connection raises the error before the real one is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt
import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.support.virsh import remove_domain

MISSING_TYPE = (
    "internal error: Unable to parse RNG /usr/share/libvirt/schemas/domain.rng: Error type 'unsignedInt' is not "
    "exported by type library 'http://www.w3.org/2001/XMLSchema-datatypes'"
)
UUID = "7b0d5a0e-4f43-4c0f-9d4e-6f1f5a3c%04d"


class RacingConnection:
    """Fails the first definitions, the very first one slowly; records for each how many were running when it began."""

    def __init__(self, real: Any, failures: int) -> None:
        self._real = real
        self._failures = failures
        self._lock = threading.Lock()
        self._under_way = 0
        self.at_once: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def defineXMLFlags(self, xml: str, flags: int) -> Any:
        with self._lock:
            self._under_way += 1
            self.at_once.append(self._under_way)
            fails, is_first = len(self.at_once) <= self._failures, len(self.at_once) == 1
        try:
            time.sleep(0.3 if is_first else 0)
            if fails:
                raise _error(MISSING_TYPE)
            return self._real.defineXMLFlags(xml, flags)
        finally:
            with self._lock:
                self._under_way -= 1


def _error(message: str) -> libvirt.libvirtError:
    error = libvirt.libvirtError(message)
    error.err = (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_XML, message, 2, "", "", "", -1, -1)
    return error


def domain(number: int) -> str:
    return f"""<domain type='qemu'><name>race {number}</name><uuid>{UUID % number}</uuid>
        <memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>"""


@pytest.fixture
def hypervisor() -> Iterator[Hypervisor]:
    connected = Hypervisor.connect("qemu:///system")
    yield connected
    connected.close()
    for number in range(4):
        remove_domain(UUID % number)


def race(hypervisor: Hypervisor, failures: int) -> RacingConnection:
    connection = RacingConnection(hypervisor._connection, failures)
    hypervisor._connection = connection
    return connection


def test_a_type_that_is_reported_missing_is_found_at_the_next_attempt(hypervisor: Hypervisor) -> None:
    race(hypervisor, failures=2)
    hypervisor.define(domain(0))
    assert "race 0" in hypervisor.xml(UUID % 0, inactive=True)


def test_a_schema_that_stays_broken_is_an_error(hypervisor: Hypervisor) -> None:
    race(hypervisor, failures=100)
    with pytest.raises(VmError, match="Unable to parse RNG"):
        hypervisor.define(domain(0))


def test_no_other_of_a_task_begins_before_the_first_is_done(hypervisor: Hypervisor) -> None:
    connection = race(hypervisor, failures=0)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(hypervisor.define, map(domain, range(4))))
    assert connection.at_once[:2] == [1, 1]
