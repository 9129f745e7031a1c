# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware of the hypervisor, as the kernel shows it."""

from __future__ import annotations

import fcntl
import os
import re
from typing import NamedTuple, Optional

from .files import Files

_DISPLAY_CONTROLLERS = "0x03"
_BARS = 6
_MEMORY_64_BIT = 0x00100000  # IORESOURCE_MEM_64
# linux/kvm.h
_KVM_CHECK_EXTENSION = 0xAE03
_KVM_CAP_ARM_VM_IPA_SIZE = 165


class UsbHostDevice(NamedTuple):
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
        """Return whether the hypervisor has a PCI device at C(DDDD:BB:SS.F)."""
        return self._files.path_kind("/sys/bus/pci/devices/" + address) == "directory"

    def has_iommu_group(self, address: str) -> bool:
        """Return whether the PCI device at C(DDDD:BB:SS.F) is behind an IOMMU, as passthrough requires."""
        return self._files.path_kind("/sys/bus/pci/devices/%s/iommu_group" % address) == "directory"

    def is_virtual_function(self, address: str) -> bool:
        """Return whether the PCI device at C(DDDD:BB:SS.F) is a virtual function (SR-IOV) of another."""
        return self._files.path_kind("/sys/bus/pci/devices/%s/physfn" % address) is not None

    def iommu_groups(self) -> dict[int, list[str]]:
        """Return the PCI devices in each IOMMU group, which can only be passed through together."""
        top = "/sys/kernel/iommu_groups"
        return {
            int(name): self._files.list_directory("%s/%s/devices" % (top, name))
            for name in self._files.list_directory(top)
        }

    def largest_gpu_bar(self) -> int:
        """Return the bytes of the largest 64-bit memory region of a display controller, 0 if there is none."""
        top = "/sys/bus/pci/devices"
        sizes = [0]
        for name in self._files.list_directory(top):
            kind = self._files.read_text("%s/%s/class" % (top, name)) or ""
            if kind.startswith(_DISPLAY_CONTROLLERS):
                regions = self._files.read_text("%s/%s/resource" % (top, name)) or ""
                sizes += [_size_of_64_bit_region(line) for line in regions.splitlines()[:_BARS]]
        return max(sizes)

    def usb_devices(self) -> list[UsbHostDevice]:
        """Return the USB devices that are plugged in."""
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
        """Return the memory of the hypervisor in bytes, None if the kernel does not report it."""
        return self._memory("MemTotal")

    def free_memory(self) -> Optional[int]:
        """Return the bytes available to new processes without swapping, None if the kernel does not report it."""
        return self._memory("MemAvailable")

    def _memory(self, name: str) -> Optional[int]:
        found = re.search(r"^%s:\s+(\d+) kB$" % name, self._files.read_text("/proc/meminfo") or "", re.MULTILINE)
        return int(found[1]) * 1024 if found else None

    def load_average(self) -> Optional[list[float]]:
        """Return the load average of 1, 5 and 15 minutes, None if the kernel does not report it."""
        text = self._files.read_text("/proc/loadavg")
        return [float(number) for number in text.split()[:3]] if text else None

    def cgroup_version(self) -> int:
        """Return 2 on a host with only the unified hierarchy, else 1."""
        return 2 if self._files.path_kind("/sys/fs/cgroup/cgroup.controllers") == "file" else 1

    def cpu_count(self) -> int:
        """Return the number of CPUs that this process may use."""
        return len(os.sched_getaffinity(0))

    def guest_address_bits(self) -> Optional[int]:
        """Return how many bits the memory addresses of a KVM guest have on aarch64, None if KVM does not say."""
        try:
            kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return fcntl.ioctl(kvm, _KVM_CHECK_EXTENSION, _KVM_CAP_ARM_VM_IPA_SIZE) or None
        except OSError:
            return None
        finally:
            os.close(kvm)


def _size_of_64_bit_region(line: str) -> int:
    """Return the bytes of a region in the kernel's file C(resource): first and last address, and flags."""
    first, last, flags = (int(number, 16) for number in line.split())
    return last - first + 1 if flags & _MEMORY_64_BIT else 0
