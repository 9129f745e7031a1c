# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware of the hypervisor, as the kernel shows it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Optional

from .files import Files


@dataclass(frozen=True)
class UsbHostDevice:
    """A USB device that is plugged into the hypervisor."""

    bus: int
    device: int
    vendor: int
    product: int


class Devices:
    """The devices, memory and CPUs of the hypervisor."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def pci_device_exists(self, address: str) -> bool:
        """Whether the hypervisor has a PCI device at C(DDDD:BB:SS.F)."""
        return self._files.path_kind("/sys/bus/pci/devices/" + address) == "directory"

    def has_iommu_group(self, address: str) -> bool:
        """Whether the PCI device at C(DDDD:BB:SS.F) is behind an IOMMU, without which it can't be passed through."""
        return self._files.path_kind("/sys/bus/pci/devices/%s/iommu_group" % address) == "directory"

    def iommu_groups(self) -> dict[int, list[str]]:
        """The PCI devices in each IOMMU group, which can only be passed through together; none without an IOMMU."""
        top = "/sys/kernel/iommu_groups"
        return {
            int(name): self._files.list_directory("%s/%s/devices" % (top, name))
            for name in self._files.list_directory(top)
        }

    def usb_devices(self) -> list[UsbHostDevice]:
        """The USB devices that are plugged in."""
        top = "/sys/bus/usb/devices"
        found = []
        for name in self._files.list_directory(top):
            parts = ("busnum", "devnum", "idVendor", "idProduct")
            texts = [self._files.read_text("%s/%s/%s" % (top, name, part)) for part in parts]
            if None not in texts:
                bus, device, vendor, product = (str(text).strip() for text in texts)
                found.append(UsbHostDevice(int(bus), int(device), int(vendor, 16), int(product, 16)))
        return found

    def memory_size(self) -> Optional[int]:
        """Bytes of memory that the hypervisor has; None where the kernel doesn't say."""
        return self._memory("MemTotal")

    def free_memory(self) -> Optional[int]:
        """Bytes that new processes can have without swapping; None where the kernel doesn't say."""
        return self._memory("MemAvailable")

    def _memory(self, name: str) -> Optional[int]:
        found = re.search(r"^%s:\s+(\d+) kB$" % name, self._files.read_text("/proc/meminfo") or "", re.MULTILINE)
        return int(found[1]) * 1024 if found else None

    def load_average(self) -> Optional[list[float]]:
        """How many tasks wanted a CPU, on average over 1, 5 and 15 minutes; None where the kernel doesn't say."""
        text = self._files.read_text("/proc/loadavg")
        return [float(number) for number in text.split()[:3]] if text else None

    def cgroup_version(self) -> int:
        """2 on a host with the unified hierarchy alone, else 1."""
        return 2 if self._files.path_kind("/sys/fs/cgroup/cgroup.controllers") == "file" else 1

    def cpu_count(self) -> int:
        """CPUs that this process may run on."""
        return len(os.sched_getaffinity(0))
