# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared memory: sizes that libvirt accepts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree


def devices(**options: Any) -> etree._Element:
    """Return the devices of a VM."""
    domain = build(parsed_vm(**options), recorded_host("debian-12"), StorageFacts({})).element
    assert schema_errors(domain) == []
    return domain.find("devices")


@pytest.mark.parametrize(("size", "mib"), [("1MiB", 1), (1, 1), ("3MiB", 4), ("64MiB", 64), (64 * (1 << 20) + 1, 128)])
def test_the_size_is_a_power_of_two(size: Any, mib: int) -> None:
    shmem = devices(shared_memory=[{"name": "frames", "size": size}]).find("shmem")
    assert (shmem.get("name"), shmem.find("model").get("type")) == ("frames", "ivshmem-plain")
    assert (shmem.findtext("size"), shmem.find("size").get("unit")) == (str(mib), "M")
