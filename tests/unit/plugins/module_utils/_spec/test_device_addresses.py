# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that devices are given in the guest."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import DriveSlot, PciSlot
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

PCI = {"type": "pci", "slot": 5}


def root(address: Any) -> dict[str, Any]:
    return {"install_path": "/images/root", "address": address}


def problems(**options: Any) -> list[str]:
    vm = {"uuid": "6a9c3b1e2f644d0b9a557a0d3c1f2b11", "name": "web", "memory": "1GiB", "cpu_num": 1}
    _vms, found = parse_vms([{**vm, "root_volume": root(None), **options}])
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (PCI, PciSlot(0, 0, 5, 0)),
        (
            {"type": "pci", "domain": "0x0000", "bus": "0x01", "slot": "0x1f", "function": "0x7"},
            PciSlot(0, 1, 31, 7),
        ),
        ({"type": "drive", "unit": 3}, DriveSlot(0, 0, 0, 3)),
        ({"type": "drive", "controller": "1", "bus": "0", "target": "2", "unit": "4"}, DriveSlot(1, 0, 2, 4)),
    ],
)
def test_numbers_may_be_text_and_hexadecimal(address: dict[str, Any], expected: Any) -> None:
    assert parsed_vm(root_volume=root(address)).root_volume.address == expected


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ({"type": "usb"}, "address.type: must be one of pci, drive, not 'usb'"),
        ({"slot": 5}, "address.type: is required"),
        ({"type": "pci"}, "address.slot: is required with type pci"),
        ({"type": "drive"}, "address.unit: is required with type drive"),
        ({"type": "pci", "slot": 0}, "address: is the PCI address of the host bridge"),
        ({"type": "pci", "slot": 32}, "address.slot: 32 must be between 0 and 31"),
        ({"type": "pci", "slot": "0xzz"}, "address.slot: must be a whole number, not '0xzz'"),
        ({**PCI, "unit": 1}, "address.unit: is for addresses of type drive, not pci"),
        ({"type": "drive", "unit": 1, "slot": 2}, "address.slot: is for addresses of type pci, not drive"),
    ],
)
def test_a_wrong_address_is_one_problem(address: dict[str, Any], problem: str) -> None:
    (found,) = problems(root_volume=root(address))
    assert found.startswith("vms[0].root_volume." + problem)


def test_two_devices_on_one_pci_address_are_named() -> None:
    data = {"install_path": "/images/data", "address": PCI}
    (found,) = problems(root_volume=root(PCI), data_volumes=[data])
    assert found == "vms[0].data_volumes[0].address: is the same PCI address as vms[0].root_volume.address"
