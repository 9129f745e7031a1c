# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a VM's machine: CPUs, memory, NUMA, firmware, TPM, PCI topology, SMBIOS and their like."""

from __future__ import annotations

from typing import Any

from . import values

MACHINE_ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    # CPUs
    "cpu_model": {"type": "str"},
    "cpu_vendor_id": {"type": "str"},
    "x2apic": {"type": "bool", "default": True},
    "cpu_hypervisor_feature": {"type": "bool", "default": True},
    "pmu": {"type": "bool"},
    "threads_per_core": {"type": "int", "default": 1},
    "max_vcpu_num": {"type": "int"},
    "cpu_shares": {"type": "int"},
    "cpu_quota": {"type": "int"},
    "cpu_pinning": {
        "type": "list",
        "elements": "dict",
        "options": {
            "vcpu": {"type": "int", "required": True},
            "cpus": {"type": "str", "required": True},
        },
    },
    "emulator_pinning": {"type": "str"},
    "io_threads": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"type": "int", "required": True},
            "cpus": {"type": "str"},
        },
    },
    # Memory
    "max_memory": {"type": "bytes"},
    "huge_pages": {"type": "bool"},
    "no_share_pages": {"type": "bool"},
    "memory_access": {"type": "str", "choices": ["private", "shared"]},
    "numa_nodes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "id": {"type": "int", "required": True},
            "cpus": {"type": "str", "required": True},
            "memory": {"type": "bytes", "required": True},
            "distances": {"type": "list", "elements": "int", "default": []},
            "host_node": {"type": "int"},
        },
    },
    # Firmware
    "secure_boot": {"type": "bool", "default": False},
    "nvram": {"type": "str"},
    "loader_rom": {"type": "str"},
    "tpm": {"type": "dict", "options": {"secret_uuid": {"type": "str", "no_log": False}}},
    "boot_menu_timeout": {"type": "int"},
    # Board
    "pcie_port_num": {"type": "int"},
    "pci_bridge_num": {"type": "int"},
    "smbios": {
        "type": "dict",
        "options": {
            "serial": {"type": "str"},
            "asset_tag": {"type": "str"},
            "oem_strings": {"type": "list", "elements": "str", "default": []},
            "manufacturer": {"type": "str"},
            "product": {"type": "str"},
        },
    },
    "acpi": {"type": "bool", "default": True},
    "ioapic": {"type": "str", "choices": ["kvm", "qemu"]},
    "vm_port_off": {"type": "bool"},
    "emulate_hyperv": {"type": "bool"},
    "hyperv_clock": {"type": "bool", "default": True},
    "hyperv_vendor_id": {"type": "str"},
    "clock_track": {"type": "str", "choices": ["guest", "wall"]},
    # Power, crashes and priority
    "suspend_to_ram": {"type": "bool"},
    "suspend_to_disk": {"type": "bool"},
    "panic_devices": {"type": "list", "elements": "str", "choices": ["isa", "hyperv"]},
    "on_crash": {
        "type": "str",
        "choices": ["destroy", "restart", "preserve", "coredump-destroy", "coredump-restart"],
        "default": "restart",
    },
    "oom_score_adj": {"type": "int"},
}

MACHINE_CHECKS: dict[str, values.Check] = {
    "cpu_model": values.cpu_model,
    "cpu_vendor_id": values.cpu_vendor_id,
    "threads_per_core": values.number(1, 8),
    "max_vcpu_num": values.number(1, 65535),
    "cpu_shares": values.number(1, 262144),
    "cpu_quota": values.number(1000, 17592186044415),
    "cpu_pinning.vcpu": values.number(0, 65534),
    "cpu_pinning.cpus": values.cpu_set,
    "emulator_pinning": values.cpu_set,
    "io_threads.id": values.number(1, 65535),
    "io_threads.cpus": values.cpu_set,
    "max_memory": values.memory,
    "numa_nodes.id": values.number(0, 127),
    "numa_nodes.cpus": values.cpu_set,
    "numa_nodes.memory": values.memory,
    "numa_nodes.distances": values.number(10, 255),
    "numa_nodes.host_node": values.number(0, 1023),
    "nvram": values.absolute_path,
    "loader_rom": values.absolute_path,
    "tpm.secret_uuid": values.uuid,
    "boot_menu_timeout": values.number(0, 65535),
    "pcie_port_num": values.number(1, 200),
    "pci_bridge_num": values.number(0, 20),
    "smbios.serial": values.line,
    "smbios.asset_tag": values.line,
    "smbios.oem_strings": values.line,
    "smbios.manufacturer": values.line,
    "smbios.product": values.line,
    "hyperv_vendor_id": values.hyperv_vendor_id,
    "oom_score_adj": values.number(-1000, 1000),
}
