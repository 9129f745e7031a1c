# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a machine have the defaults and limits of libvirt and QEMU."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.machine_options import (
    MACHINE_ARGUMENT_SPEC,
    MACHINE_CHECKS,
)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("threads_per_core", 1, 8),
        ("max_vcpu_num", 1, 65535),
        ("cpu_shares", 1, 262144),
        ("cpu_quota", 1000, 17592186044415),
        ("cpu_pinning.vcpu", 0, 65534),
        ("io_threads.id", 1, 65535),
        ("numa_nodes.id", 0, 127),
        ("numa_nodes.distances", 10, 255),
        ("numa_nodes.host_node", 0, 1023),
        ("boot_menu_timeout", 0, 65535),
        ("pcie_port_num", 1, 200),
        ("pci_bridge_num", 0, 20),
        ("oom_score_adj", -1000, 1000),
    ],
)
def test_a_number_is_within_its_limits(name: str, low: int, high: int) -> None:
    assert [accepts(name, value) for value in (low - 1, low, high, high + 1)] == [False, True, True, False]


def accepts(name: str, value: Any) -> bool:
    try:
        MACHINE_CHECKS[name](value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpu_model", "a b"),
        ("cpu_vendor_id", "AMD"),
        ("emulator_pinning", "0-"),
        ("max_memory", 0),
        ("nvram", "vars.fd"),
        ("tpm.secret_uuid", "x"),
        ("smbios.serial", "a\nb"),
        ("hyperv_vendor_id", "x" * 13),
    ],
)
def test_a_text_or_size_is_checked(name: str, value: Any) -> None:
    assert not accepts(name, value)


def test_these_have_a_default_and_no_others() -> None:
    defaults = {name: option["default"] for name, option in MACHINE_ARGUMENT_SPEC.items() if "default" in option}
    assert defaults == {
        "x2apic": True,
        "cpu_hypervisor_feature": True,
        "threads_per_core": 1,
        "numa_nodes": [],
        "secure_boot": False,
        "acpi": True,
        "hyperv_clock": True,
        "on_crash": "restart",
    }
