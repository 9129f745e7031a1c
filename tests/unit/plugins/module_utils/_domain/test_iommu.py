# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An IOMMU for CPUs that a PC's interrupts do not reach otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain

Q35 = {"machine": "q35"}
GROWING = {"use_numa": True, "max_vcpu_num": 256}


@pytest.mark.parametrize(
    ("host", "options", "models"),
    [
        pytest.param("el-9", {**Q35, "cpu_num": 255}, [], id="as many CPUs as interrupts reach"),
        pytest.param("el-9", {**Q35, "cpu_num": 256}, ["intel"], id="one more"),
        pytest.param("el-9", {**Q35, **GROWING}, ["intel"], id="one more that the VM can grow to"),
        pytest.param("el-9", {"machine": "pc", "cpu_num": 256}, [], id="pc, which has no IOMMU"),
        pytest.param("el-7-aarch64", {"cpu_num": 256}, [], id="aarch64"),
    ],
)
def test_only_a_q35_with_more_cpus_than_interrupts_reach_has_one(
    host: str, options: dict[str, Any], models: list[str]
) -> None:
    assert [found["model"] for found in attributes(domain(host, **options), "devices/iommu")] == models


def test_it_translates_interrupts_to_all_cpus() -> None:
    (driver,) = attributes(domain("el-9", **Q35, cpu_num=256), "devices/iommu/driver")

    assert driver == {"intremap": "on", "eim": "on"}
