# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPUs of a VM, those that it can grow to, and the most that a machine supports."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import (
    built,
    domain,
    host_with,
    missing,
)


@pytest.mark.parametrize(
    ("options", "most", "current"),
    [
        pytest.param({"cpu_num": 3}, "3", None, id="without growth"),
        pytest.param({"cpu_num": 3, "use_numa": True}, "128", "3", id="growth to ZStack's maximum"),
        pytest.param({"cpu_num": 3, "use_numa": True, "max_vcpu_num": 16}, "16", "3", id="growth to the VM's own"),
        pytest.param({"cpu_num": 3, "max_vcpu_num": 16}, "3", None, id="a maximum without growth"),
    ],
)
def test_a_vm_has_its_cpus_and_with_online_growth_room_for_more(
    options: dict[str, Any], most: str, current: str
) -> None:
    vcpu = domain(**options).find("vcpu")

    assert (vcpu.text, vcpu.get("current"), vcpu.get("placement")) == (most, current, "static")


@pytest.mark.parametrize(
    ("options", "option", "hint"),
    [
        pytest.param({"use_numa": True}, "vms[0].use_numa", "set use_numa to false", id="growth to 128 CPUs"),
        pytest.param({"cpu_num": 65}, "vms[0].cpu_num", "lower cpu_num", id="CPUs from the start"),
    ],
)
def test_more_cpus_than_the_machine_supports_are_missing(options: dict[str, Any], option: str, hint: str) -> None:
    lacking = built(host_with("el-7", max_cpus=64), **options).missing

    assert [(problem.option_path, problem.code, problem.hint) for problem in lacking] == [
        (option, "unsupported_device", hint),
    ]


@pytest.mark.parametrize(("machine", "limits"), [("pc", [255]), ("q35", [])])
def test_only_q35_has_more_cpus_than_interrupts_have_numbers_for(machine: str, limits: list[int]) -> None:
    assert missing(host_with("el-9", max_cpus=None), machine=machine, cpu_num=256) == [
        "vms[0].cpu_num: 256 CPUs are more than the %d that the machine pc supports" % limit for limit in limits
    ]


def test_as_many_cpus_as_the_machine_supports_are_accepted() -> None:
    assert missing(host_with("el-7", max_cpus=240), cpu_num=240) == []
