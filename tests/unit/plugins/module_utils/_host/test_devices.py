# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware of the hypervisor, on simulated file trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.devices import Devices, UsbHostDevice
from ansible_collections.zstack.kvm.plugins.module_utils._host.files import Files
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host.tree import write

PCI = "/sys/bus/pci/devices/"
NOTHING = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
# 256 MiB and 32 MiB of 64-bit memory, 16 MiB of 32-bit memory, and the expansion ROM, which is no BAR.
LARGE = "0x0000000800000000 0x000000080fffffff 0x000000000014220c\n"
SMALL = "0x0000000810000000 0x0000000811ffffff 0x000000000014220c\n"
OF_32_BITS = "0x00000000f0000000 0x00000000f0ffffff 0x0000000000040200\n"
ROM = "0x0000001000000000 0x0000001fffffffff 0x000000000014220c\n"


@pytest.fixture
def devices(tmp_path: Path) -> Devices:
    return Devices(Files(str(tmp_path)))


def test_usb_devices_are_those_with_numbers(tmp_path: Path, devices: Devices) -> None:
    for name, text in (("busnum", "1\n"), ("devnum", "4\n"), ("idVendor", "046d\n"), ("idProduct", "c52b\n")):
        write(tmp_path, "/sys/bus/usb/devices/1-2/" + name, text)
    write(tmp_path, "/sys/bus/usb/devices/1-2:1.0/bInterfaceNumber", "00\n")
    assert devices.usb_devices() == [UsbHostDevice(1, 4, 0x046D, 0xC52B)]


def test_memory_is_in_bytes_and_free_what_is_available(tmp_path: Path, devices: Devices) -> None:
    write(tmp_path, "/proc/meminfo", "MemTotal:  4096 kB\nMemFree: 9 kB\nMemAvailable:    2048 kB\n")
    assert (devices.memory_size(), devices.free_memory()) == (4096 * 1024, 2048 * 1024)


def test_what_the_kernel_does_not_report_is_unknown(devices: Devices) -> None:
    assert (devices.memory_size(), devices.free_memory(), devices.load_average()) == (None, None, None)


def test_the_load_average_has_three_numbers(tmp_path: Path, devices: Devices) -> None:
    write(tmp_path, "/proc/loadavg", "0.50 1.25 2.00 3/456 7890\n")
    assert devices.load_average() == [0.5, 1.25, 2.0]


def test_a_pci_device_can_be_a_virtual_function_and_be_behind_an_iommu(tmp_path: Path, devices: Devices) -> None:
    for directory in ("0000:0a:00.0/iommu_group", "0000:0a:00.1/physfn"):
        write(tmp_path, PCI + directory + "/any")
    addresses = ["0000:0a:00.%d" % function for function in range(3)]
    assert [devices.pci_device_exists(address) for address in addresses] == [True, True, False]
    assert [devices.has_iommu_group(address) for address in addresses] == [True, False, False]
    assert [devices.is_virtual_function(address) for address in addresses] == [False, True, False]


def test_iommu_groups_have_their_devices(tmp_path: Path, devices: Devices) -> None:
    for device in ("12/devices/0000:03:00.1", "12/devices/0000:03:00.0", "7/devices/0000:00:1f.0"):
        write(tmp_path, "/sys/kernel/iommu_groups/%s/any" % device)
    assert devices.iommu_groups() == {7: ["0000:00:1f.0"], 12: ["0000:03:00.0", "0000:03:00.1"]}


@pytest.mark.parametrize(
    ("kind", "regions", "size"),
    [
        ("0x030000", SMALL + LARGE + OF_32_BITS, 256 << 20),
        ("0x030200", OF_32_BITS + SMALL, 32 << 20),
        ("0x030000", OF_32_BITS, 0),
        ("0x030000", NOTHING * 6 + ROM, 0),
        ("0x020000", LARGE, 0),
    ],
)
def test_the_largest_region_of_a_gpu_is_one_of_its_64_bit_bars(
    tmp_path: Path, devices: Devices, kind: str, regions: str, size: int
) -> None:
    write(tmp_path, PCI + "0000:03:00.0/class", kind + "\n")
    write(tmp_path, PCI + "0000:03:00.0/resource", regions)
    assert devices.largest_gpu_bar() == size


def test_only_the_unified_hierarchy_is_version_2_of_cgroups(tmp_path: Path, devices: Devices) -> None:
    assert devices.cgroup_version() == 1
    write(tmp_path, "/sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    assert devices.cgroup_version() == 2


def test_only_cpus_that_this_process_may_use_are_counted(devices: Devices) -> None:
    usable = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(usable)})
        assert devices.cpu_count() == 1
    finally:
        os.sched_setaffinity(0, usable)
