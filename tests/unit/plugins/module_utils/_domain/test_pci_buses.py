# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI addresses on buses that a machine lacks."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.pci_buses import pci_address_problems
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from lxml import etree

PC = '<controller type="pci" index="0" model="pci-root"/><controller type="pci" index="1" model="pci-bridge"/>'
Q35 = (
    '<controller type="pci" index="0" model="pcie-root"/><controller type="pci" index="1" model="dmi-to-pci-bridge"/>'
    '<controller type="pci" index="2" model="pci-bridge"/><controller type="pci" index="3" model="pcie-root-port"/>'
)


def problems(controllers: str, machine: str, *addresses: tuple[int, int], pci_domain: int = 0) -> list[str]:
    domain = etree.fromstring(
        f'<domain><os><type machine="{machine}">hvm</type></os><devices>{controllers}</devices></domain>'
    )
    volumes = [
        {
            "install_path": "/images/%d" % index,
            "address": {"type": "pci", "domain": pci_domain, "bus": bus, "slot": slot, "function": 1},
        }
        for index, (bus, slot) in enumerate(addresses)
    ]
    vm = parsed_vm(data_volumes=volumes)
    return [str(problem).partition(" (")[0] for problem in pci_address_problems(domain, vm)]


@pytest.mark.parametrize(
    ("controllers", "machine", "address"),
    [("", "pc", (0, 5)), (PC, "pc", (1, 31)), (Q35, "q35", (3, 0)), (Q35, "q35", (2, 1)), ("", "q35", (9, 0))],
)
def test_a_bus_that_exists(controllers: str, machine: str, address: tuple[int, int]) -> None:
    assert problems(controllers, machine, address) == []


@pytest.mark.parametrize(
    ("controllers", "machine", "address", "problem"),
    [
        ("", "pc", (1, 5), "the VM has no PCI bus 1"),
        (PC, "pc", (2, 5), "the VM has no PCI bus 2"),
        (Q35, "q35", (32, 0), "the VM has no PCI bus 32"),
        (PC, "pc", (1, 0), "is in slot 0, which belongs to the bridge of PCI bus 1 itself"),
        (PC, "pc", (0, 0), "is in slot 0, which belongs to the host bridge"),
        (PC, "pc", (0, 1), "slot 0x01 of PCI bus 0 has devices of the board"),
        (Q35, "q35", (0, 31), "slot 0x1f of PCI bus 0 has devices of the board"),
        ("", "q35", (9, 1), "PCI bus 9 is a root port, which has slot 0 only"),
        (Q35, "q35", (3, 2), "PCI bus 3 is a root port, which has slot 0 only"),
    ],
)
def test_an_address_that_is_none(controllers: str, machine: str, address: tuple[int, int], problem: str) -> None:
    assert problems(controllers, machine, address) == ["vms[0].data_volumes[0].address: %s" % problem]


def test_a_pci_domain_that_does_not_exist() -> None:
    (problem,) = problems("", "pc", (0, 5), pci_domain=1)
    assert problem.endswith("the VM has no PCI domain 1")


def test_libvirt_adds_a_bus_when_the_one_before_it_is_nearly_full() -> None:
    full = [(0, slot) for slot in range(3, 26)]
    # A VM has 24 data volumes at most; the root volume has the last slot.
    domain = etree.fromstring('<domain><os><type machine="pc">hvm</type></os><devices/></domain>')
    vm = parsed_vm(
        root_volume={"install_path": "/root", "address": {"type": "pci", "slot": 26}},
        data_volumes=[
            {"install_path": "/images/%d-%d" % slot, "address": {"type": "pci", "bus": slot[0], "slot": slot[1]}}
            for slot in (*full, (1, 1))
        ],
    )
    assert list(pci_address_problems(domain, vm)) == []
