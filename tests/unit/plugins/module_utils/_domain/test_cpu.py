# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU models and features that hosts support or lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._domain.cputune import scaled_shares
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import Host
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm


def host_with(name: str, **capabilities: Any) -> Host:
    host = recorded_host(name)
    return replace(
        host,
        domain_capabilities={kind: replace(known, **capabilities) for kind, known in host.domain_capabilities.items()},
    )


def built(host: Host, **options: Any) -> DesiredDomain:
    return build(parsed_vm(**options), host, StorageFacts())


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


def test_online_growth_needs_a_machine_with_128_cpus() -> None:
    missing = built(host_with("el-7", max_cpus=64), use_numa=True).missing

    assert [(problem.option_path, problem.code, problem.hint) for problem in missing] == [
        ("vms[0].use_numa", "unsupported_device", "set use_numa to false"),
    ]


@pytest.mark.parametrize(("machine", "limits"), [("pc", [255]), ("q35", [])])
def test_only_q35_has_more_cpus_than_interrupts_have_numbers_for(machine: str, limits: list[int]) -> None:
    missing = built(host_with("el-9", max_cpus=None), machine=machine, cpu_num=256).missing

    assert [str(problem) for problem in missing] == [
        "vms[0].cpu_num: 256 CPUs are more than the %d that the machine pc supports" % limit for limit in limits
    ]


def test_as_many_cpus_as_the_machine_supports_are_accepted() -> None:
    assert not built(host_with("el-7", max_cpus=240), cpu_num=240).missing


def test_a_cpu_mode_without_a_substitute_is_missing() -> None:
    missing = built(host_with("el-7", cpu_modes=("custom",)), nested_virtualization="host-model").missing

    assert [str(problem) for problem in missing] == [
        "vms[0].nested_virtualization: the host does not offer the CPU mode host-model (it has: custom)",
    ]


def test_emulated_aarch64_without_the_usual_cpu_has_the_most_capable_one() -> None:
    desired = built(host_with("debian-12", cpu_models=()), arch="aarch64", domain_type="qemu")

    assert desired.element.find("cpu").get("mode") == "maximum"
