# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU models and features that hosts support or lack."""

from __future__ import annotations

from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import built, host_with


def test_a_cpu_mode_without_a_substitute_is_missing() -> None:
    missing = built(host_with("el-7", cpu_modes=("custom",)), nested_virtualization="host-model").missing

    assert [str(problem) for problem in missing] == [
        "vms[0].nested_virtualization: the host does not offer the CPU mode host-model (it has: custom)",
    ]


def test_emulated_aarch64_without_the_usual_cpu_has_the_most_capable_one() -> None:
    desired = built(host_with("debian-12", cpu_models=()), arch="aarch64", domain_type="qemu")

    assert desired.element.find("cpu").get("mode") == "maximum"
