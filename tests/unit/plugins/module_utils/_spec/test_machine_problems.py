# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the machine that contradict each other are problems with paths, all at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID

GIB = 1 << 30


def problems(**options: Any) -> list[str]:
    vm = {"uuid": UUID, "name": "vm", "memory": GIB, "cpu_num": 2, "root_volume": {"install_path": "/r"}, **options}
    return [str(problem).replace("vms[0].", "", 1) for problem in parse_vms([vm])[1]]


def node(number: int, cpus: str, **options: Any) -> dict[str, Any]:
    return {"id": number, "cpus": cpus, "memory": GIB // 2, **options}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"nested_virtualization": "custom"}, "cpu_model: is required with nested_virtualization custom"),
        ({"cpu_model": "EPYC"}, "cpu_model: needs nested_virtualization custom, not none"),
        (
            {"nested_virtualization": "host-passthrough", "cpu_vendor_id": "AuthenticAMD"},
            "cpu_vendor_id: needs nested_virtualization custom or host-model, not host-passthrough",
        ),
        ({"cpu_pinning": [{"vcpu": 2, "cpus": "0"}]}, "cpu_pinning[0].vcpu: is 2, but the VM's CPUs are 0 to 1"),
        (
            {"cpu_pinning": [{"vcpu": 0, "cpus": "0"}, {"vcpu": 0, "cpus": "1"}]},
            "cpu_pinning[1].vcpu: is the same as vms[0].cpu_pinning[0].vcpu",
        ),
        (
            {"io_threads": [{"id": 1}, {"id": 1}]},
            "io_threads[1].id: is the same as vms[0].io_threads[0].id",
        ),
        ({"emulator_pinning": "0-"}, "emulator_pinning: '0-' is not a set of CPUs, such as 0-3,^2,8"),
        ({"emulator_pinning": "3-1"}, "emulator_pinning: '3-1' is an empty set of CPUs"),
        ({"firmware": "bios", "secure_boot": True}, "secure_boot: needs firmware uefi"),
        ({"firmware": "uefi", "loader_rom": "/b"}, "loader_rom: is a BIOS, but firmware is uefi"),
        ({"panic_devices": ["isa", "isa"]}, "panic_devices: have a model twice"),
        ({"threads_per_core": 2, "socket_num": 1, "cpu_on_socket": 2}, "cpu_num: is 2, but socket_num × cpu_on_socket"),
        ({"use_numa": True, "max_vcpu_num": 1}, "cpu_num: is more than max_vcpu_num, which is 1"),
        (
            {"use_numa": True, "max_vcpu_num": 8, "socket_num": 3, "cpu_on_socket": 2},
            "max_vcpu_num: is 8, but socket_num × cpu_on_socket is 3 × 2 = 6",
        ),
        ({"use_numa": True, "max_memory": GIB // 2}, "memory: is more than max_memory"),
        ({"use_numa": True, "numa_nodes": [node(0, "0")]}, "numa_nodes: cannot be used with use_numa"),
        ({"numa_nodes": [node(0, "0"), node(2, "1")]}, "numa_nodes: have the ids 0, 2 instead of 0 to 1"),
        (
            {"numa_nodes": [node(0, "0-1"), node(1, "1")]},
            "numa_nodes[1].cpus: has the CPUs 1, which vms[0].numa_nodes[0] has too",
        ),
        ({"numa_nodes": [node(0, "0"), node(1, "1-3")]}, "numa_nodes[1].cpus: has the CPUs 2, 3, which the VM"),
        ({"numa_nodes": [node(0, "0", memory=GIB)]}, "numa_nodes: lack the CPUs 1"),
        (
            {"numa_nodes": [node(0, "0-1")]},
            "numa_nodes: have 536870912 bytes of memory together, but the VM has 1073741824",
        ),
        (
            {"numa_nodes": [node(0, "0", distances=[10]), node(1, "1")]},
            "numa_nodes[0].distances: are 1, but there are 2 nodes",
        ),
        (
            {"numa_nodes": [node(0, "0", distances=[20, 10]), node(1, "1")]},
            "numa_nodes[0].distances[0]: is 20: the distance to its own node is 10",
        ),
    ],
)
def test_a_contradiction_is_named_with_its_path(options: dict[str, Any], expected: str) -> None:
    found = problems(**options)

    assert found[0].startswith(expected)


def test_all_problems_are_named_at_once() -> None:
    found = problems(
        cpu_quota=1, oom_score_adj=1001, tpm={"secret_uuid": "x"}, numa_nodes=[node(0, "0")], firmware="efi"
    )

    assert [problem.partition(":")[0] for problem in found] == [
        "firmware",
        "cpu_quota",
        "tpm.secret_uuid",
        "oom_score_adj",
        "numa_nodes",
        "numa_nodes",
    ]


def test_nodes_that_add_up_are_fine() -> None:
    assert problems(numa_nodes=[node(0, "0", distances=[10, 21]), node(1, "1", distances=[21, 10])]) == []
