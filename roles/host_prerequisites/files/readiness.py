# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print as JSON what the host offers to VMs beyond libvirt and QEMU, from what the kernel shows in /dev, /proc, /sys.

Arguments: the root directory (/, another one for tests), then the names of the bridges to look for.
"""

import json
import pathlib
import platform
import sys


def nested(modules):
    """Return whether KVM allows VMs in VMs: True, False, or None where it isn't loaded or doesn't say (aarch64)."""
    for vendor in ("kvm_intel", "kvm_amd"):
        parameter = modules / vendor / "parameters" / "nested"
        if parameter.exists():
            return parameter.read_text().strip() in ("1", "Y")
    return None


def vfio(root):
    """Return whether the driver that passes PCI devices through is loaded, loadable or missing."""
    if (root / "sys/bus/pci/drivers/vfio-pci").exists():
        return "loaded"
    directory = root / "lib/modules" / platform.release()
    for index in ("modules.builtin", "modules.dep"):
        if (directory / index).exists() and "/vfio-pci.ko" in (directory / index).read_text():
            return "loadable"
    return "missing"


def count(directory):
    return len(list(directory.iterdir())) if directory.is_dir() else 0


def main():
    root = pathlib.Path(sys.argv[1])
    interfaces = root / "sys/class/net"
    print(
        json.dumps(
            {
                "kvm": (root / "dev/kvm").exists(),
                "nested": nested(root / "sys/module"),
                "iommu_groups": count(root / "sys/kernel/iommu_groups"),
                "vfio": vfio(root),
                "missing_bridges": [name for name in sys.argv[2:] if not (interfaces / name / "bridge").is_dir()],
                "cgroup_version": 2 if (root / "sys/fs/cgroup/cgroup.controllers").exists() else 1,
                "system_bus": (root / "run/dbus/system_bus_socket").exists(),
                "kernel_parameters": (root / "proc/cmdline").read_text().split(),
            }
        )
    )


main()
