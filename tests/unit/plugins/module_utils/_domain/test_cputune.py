# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU shares and their range, and the CPUs and NUMA nodes that a host must have."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._domain.cputune import scaled_shares
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm


def built(has_cpu_shares: bool, **options: Any) -> DesiredDomain:
    return build(
        parsed_vm(**options), recorded_host("debian-12")._replace(has_cpu_shares=has_cpu_shares), StorageFacts()
    )


@pytest.mark.parametrize("options", [{}, {"cpu_speed": 1024}])
def test_a_session_libvirt_has_no_shares(options: dict[str, Any]) -> None:
    assert built(False, **options).element.find("cputune") is None


def test_the_system_libvirt_has_shares() -> None:
    assert built(True, cpu_speed=1024).element.findtext("cputune/shares")


def test_shares_that_are_set_are_those_of_the_whole_vm() -> None:
    assert built(True, cpu_shares=512, cpu_num=4, cpu_speed=9).element.findtext("cputune/shares") == "50"


@pytest.mark.parametrize(
    ("shares", "on_v1", "on_v2"),
    [
        (0, 2, 2),
        (1, 2, 2),
        (1024, 1024, 100),
        (10240, 10240, 1000),
        (166400, 166400, 10000),
        (500000, 262144, 10000),
    ],
)
def test_shares_are_within_the_range_of_the_cgroup(shares: int, on_v1: int, on_v2: int) -> None:
    assert (scaled_shares(shares, 1), scaled_shares(shares, 2)) == (on_v1, on_v2)


def test_cpus_and_numa_nodes_beyond_the_hosts_are_missing() -> None:
    host = recorded_host("debian-12")
    capabilities = host.capabilities._replace(cpus=frozenset({0, 1, 2, 8}), numa_nodes=frozenset({0}))
    vm = parsed_vm(
        domain_type="qemu",
        memory="1GiB",
        cpu_pinning=[{"vcpu": 0, "cpus": "0-3"}],
        emulator_pinning="8-9",
        io_threads=[{"id": 1, "cpus": "0"}, {"id": 2, "cpus": "64"}],
        numa_nodes=[{"id": 0, "cpus": "0", "memory": "1GiB", "host_node": 1}],
    )

    missing = build(vm, host._replace(capabilities=capabilities), StorageFacts()).missing

    assert [str(problem) for problem in missing] == [
        "vms[0].cpu_pinning[0].cpus: the host has no CPU 3 (it has: 0-2, 8)",
        "vms[0].emulator_pinning: the host has no CPU 9 (it has: 0-2, 8)",
        "vms[0].io_threads[1].cpus: the host has no CPU 64 (it has: 0-2, 8)",
        "vms[0].numa_nodes[0].host_node: the host has no NUMA node 1 (it has: 0)",
    ]
