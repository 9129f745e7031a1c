# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a VM, how far it can grow, and what the hypervisor does with it."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import Host
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain, host_with

GIB = 1 << 20
TIB = 1 << 30
EL9 = host_with("el-9")
DEBIAN = host_with("debian-12")
AARCH64 = host_with("el-10-aarch64")


def memory(host: Host = EL9, **options: Any) -> dict[str, str]:
    """Return the amounts in KiB by their elements."""
    found = [each for each in domain(host, **options) if each.tag.lower().endswith("memory")]
    assert {each.get("unit") for each in found} == {"KiB"}
    return {each.tag: each.text for each in found}


def test_a_vm_that_cannot_grow_has_all_of_its_memory() -> None:
    assert memory(memory="3GiB") == {"memory": str(3 * GIB), "currentMemory": str(3 * GIB)}


def test_a_part_of_a_kib_is_not_written() -> None:
    assert memory(memory=(1 << 30) + 1023)["memory"] == str(GIB)


@pytest.mark.parametrize(
    ("host", "options", "most"),
    [
        pytest.param(EL9, {}, 64 * TIB, id="ZStack's limit"),
        pytest.param(EL9, {"max_memory": "32GiB"}, 32 * GIB, id="the VM's own limit"),
        pytest.param(
            DEBIAN, {"domain_type": "qemu"}, TIB - 64 * GIB, id="40 address bits of an emulated PC, less QEMU's part"
        ),
        pytest.param(
            DEBIAN,
            {"domain_type": "qemu", "arch": "aarch64"},
            16 * TIB - 64 * GIB,
            id="44 address bits of an emulated aarch64",
        ),
        pytest.param(
            DEBIAN, {"domain_type": "qemu", "max_memory": "2TiB"}, TIB - 64 * GIB, id="a limit beyond the addresses"
        ),
        pytest.param(
            AARCH64._replace(address_bits=40), {"max_memory": "1TiB"}, 64 * GIB, id="a part of the addresses of aarch64"
        ),
        pytest.param(AARCH64, {"max_memory": "1TiB"}, TIB, id="unknown addresses of aarch64"),
        pytest.param(AARCH64._replace(address_bits=32), {"max_memory": "1TiB"}, GIB, id="at least what the VM has"),
    ],
)
def test_memory_grows_as_far_as_limits_and_addresses_go(host: Host, options: dict[str, Any], most: int) -> None:
    found = memory(host, use_numa=True, **options)

    assert found == {"maxMemory": str(most), "currentMemory": str(GIB)}


def test_it_grows_in_16_slots() -> None:
    assert domain(EL9, use_numa=True).find("maxMemory").get("slots") == "16"


@pytest.mark.parametrize(
    ("options", "backing"),
    [
        ({}, None),
        ({"no_share_pages": True}, ["nosharepages"]),
        ({"memory_access": "shared"}, ["access"]),
        ({"huge_pages": True}, ["hugepages", "nosharepages", "allocation"]),
        ({"huge_pages": True, "memory_access": "shared"}, ["hugepages", "nosharepages", "access", "allocation"]),
    ],
)
def test_the_hypervisor_backs_it_as_the_options_say(options: dict[str, Any], backing: Optional[list[str]]) -> None:
    found = domain(EL9, **options).find("memoryBacking")

    assert (None if found is None else [each.tag for each in found]) == backing


def test_huge_pages_are_allocated_at_the_start() -> None:
    assert attributes(domain(EL9, huge_pages=True), "memoryBacking/allocation") == [{"mode": "immediate"}]


def test_shared_memory_can_be_mapped_by_others() -> None:
    assert attributes(domain(EL9, memory_access="shared"), "memoryBacking/access") == [{"mode": "shared"}]
