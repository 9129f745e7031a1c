# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints as JSON what the host offers to VMs beyond libvirt and QEMU, from what the kernel tells in /dev, /proc, /sys.

Arguments: the root folder (/, another one for tests), then the names of the bridges to look for.
"""

import json
import pathlib
import platform
import sys


def nested(modules):
    """Whether KVM allows VMs in VMs: True, False, or None where it isn't loaded or doesn't say (aarch64)."""
    for vendor in ("kvm_intel", "kvm_amd"):
        parameter = modules / vendor / "parameters" / "nested"
        if parameter.exists():
            return parameter.read_text().strip() in ("1", "Y")
    return None


def vfio(root):
    """Whether the driver that passes PCI devices through is loaded, loadable or missing."""
    if (root / "sys/bus/pci/drivers/vfio-pci").exists():
        return "loaded"
    folder = root / "lib/modules" / platform.release()
    for index in ("modules.builtin", "modules.dep"):
        if (folder / index).exists() and "/vfio-pci.ko" in (folder / index).read_text():
            return "loadable"
    return "missing"


def count(folder):
    return len(list(folder.iterdir())) if folder.is_dir() else 0


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
