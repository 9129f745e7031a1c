# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single options of volumes, drives and LUNs are checked within the limits of libvirt, QEMU and SCSI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.disk_checks import (
    CDROM_CHECKS,
    DRIVE_CHECKS,
    LUN_CHECKS,
    VOLUME_CHECKS,
    block_size,
    serial,
)
from ansible_collections.zstack.kvm.plugins.module_utils._spec.values import Check


@pytest.mark.parametrize("value", ["A b-c_d.e+f", "s" * 36])
def test_a_serial_number_has_the_characters_of_libvirts_schema(value: str) -> None:
    assert serial(value) == value


@pytest.mark.parametrize(
    ("value", "reason"), [("a:b", "is not a serial number"), ("s" * 37, "is longer than 36 characters")]
)
def test_another_text_is_no_serial_number(value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        serial(value)


@pytest.mark.parametrize("value", [512, 4096, 2097152])
def test_a_block_has_a_power_of_two_of_bytes(value: int) -> None:
    assert block_size(value) == value


@pytest.mark.parametrize("value", [256, 513, 4194304, 0])
def test_another_number_of_bytes_is_no_block(value: int) -> None:
    with pytest.raises(ValueError, match="is not a block size"):
        block_size(value)


@pytest.mark.parametrize(
    ("checks", "name", "low", "high"),
    [
        pytest.param(VOLUME_CHECKS, "boot_order", 1, 2147483647, id="boot_order"),
        pytest.param(VOLUME_CHECKS, "queues", 1, 1024, id="queues"),
        pytest.param(VOLUME_CHECKS, "controller_index", 0, 255, id="controller_index"),
        pytest.param(VOLUME_CHECKS, "qos.total_iops", 1, 10**15, id="limit"),
        pytest.param(CDROM_CHECKS, "device_id", 0, 2, id="CD"),
        pytest.param(DRIVE_CHECKS, "device_id", 0, 2, id="drive"),
        pytest.param(LUN_CHECKS, "device_id", 0, 24, id="LUN"),
    ],
)
def test_a_number_is_within_its_limits(checks: Mapping[str, Check], name: str, low: int, high: int) -> None:
    assert [accepts(checks[name], value) for value in (low - 1, low, high, high + 1)] == [False, True, True, False]


def accepts(check: Check, value: Any) -> bool:
    try:
        check(value)
    except ValueError:
        return False
    return True
