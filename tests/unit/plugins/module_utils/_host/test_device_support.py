# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about a hypervisor that decide about devices, on a simulated file tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import DeviceSupport
from ansible_collections.zstack.kvm.plugins.module_utils._host.device_support import device_support
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem

# Flags of a memory region in the kernel's file: 32 or 64 bits.
MEMORY, MEMORY_64 = 0x40200, 0x140204


def write(root: Path, path: str, text: str) -> None:
    """Write a file of the tree."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def write_device(root: Path, address: str, kind: str, *regions: tuple[int, int]) -> None:
    """Write a PCI device with memory regions, each its size and flags."""
    lines = ["0x%016x 0x%016x 0x%016x" % (1 << 40, (1 << 40) + size - 1, flags) for size, flags in regions]
    write(root, f"sys/bus/pci/devices/{address}/class", kind + "\n")
    write(root, f"sys/bus/pci/devices/{address}/resource", "\n".join(lines) + "\n")


def test_a_hypervisor_without_any_has_none(tmp_path: Path) -> None:
    assert device_support(HostSystem(str(tmp_path))) == DeviceSupport(frozenset(), False, 0)


def test_a_remote_hypervisor_is_not_queried() -> None:
    assert device_support(RemoteSystem("qemu+ssh://hv1/system")) == DeviceSupport()


def test_rom_files_are_known_by_their_names(tmp_path: Path) -> None:
    write(tmp_path, "var/lib/zstack/pcirom/8f14e45f", "rom")
    assert device_support(HostSystem(str(tmp_path))).pci_roms == {"8f14e45f"}


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("spice_tls = 1\n", True),
        ('# comment\n  spice_tls="1"\n', True),
        ("#spice_tls = 1\n", False),
        ("spice_tls = 0\n", False),
        ("vnc_tls = 1\nspice_tls_x509_cert_dir = 1\n", False),
    ],
)
def test_spice_has_tls_where_the_configuration_of_libvirt_sets_it(
    tmp_path: Path, configuration: str, expected: bool
) -> None:
    write(tmp_path, "etc/libvirt/qemu.conf", configuration)
    assert device_support(HostSystem(str(tmp_path))).has_spice_tls is expected


def test_the_largest_region_is_one_of_64_bits_of_a_graphics_card(tmp_path: Path) -> None:
    write_device(tmp_path, "0000:01:00.0", "0x030000", (16 << 20, MEMORY), (8 << 30, MEMORY_64))
    write_device(tmp_path, "0000:02:00.0", "0x030200", (32 << 30, MEMORY_64), (64 << 30, MEMORY))
    write_device(tmp_path, "0000:03:00.0", "0x020000", (128 << 30, MEMORY_64))
    assert device_support(HostSystem(str(tmp_path))).largest_gpu_bar == 32 << 30


def test_the_windows_of_a_graphics_cards_bridge_do_not_count(tmp_path: Path) -> None:
    unused = (1, 0)
    regions = [(1 << 30, MEMORY_64), *[unused] * 5, (64 << 30, MEMORY_64)]
    write_device(tmp_path, "0000:01:00.0", "0x030000", *regions)
    assert device_support(HostSystem(str(tmp_path))).largest_gpu_bar == 1 << 30
