# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared memory: sizes that libvirt accepts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain


@pytest.mark.parametrize(("size", "mib"), [("1MiB", 1), (1, 1), ("3MiB", 4), ("64MiB", 64), (64 * (1 << 20) + 1, 128)])
def test_the_size_is_a_power_of_two(size: Any, mib: int) -> None:
    shmem = domain(shared_memory=[{"name": "frames", "size": size}]).find("devices/shmem")
    assert (shmem.get("name"), shmem.find("model").get("type")) == ("frames", "ivshmem-plain")
    assert (shmem.findtext("size"), shmem.find("size").get("unit")) == (str(mib), "M")
