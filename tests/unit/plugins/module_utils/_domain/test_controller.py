# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers: USB with its companions, SCSI, and the PCI buses that a VM is given."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.disks import SCSI, volume

VIRTIO_SCSI = {"type": "scsi", "index": "0", "model": "virtio-scsi"}


def controllers(kind: str, host: str = "debian-12", **options: Any) -> list[dict[str, str]]:
    return attributes(domain(host, **options), "devices/controller[@type='%s']" % kind)


def pci(host: str = "debian-12", **options: Any) -> list[tuple[str, str]]:
    """Return index and model of each PCI controller."""
    return [(found["index"], found["model"]) for found in controllers("pci", host, **options)]


class TestUsb:
    def test_the_controllers_are_the_planned_ones(self) -> None:
        assert controllers("usb") == [
            {"type": "usb", "index": "0"},
            {"type": "usb", "index": "1", "model": "ehci"},
            {"type": "usb", "index": "2", "model": "nec-xhci"},
        ]

    def test_each_companion_serves_two_ports_of_its_master(self) -> None:
        found = domain(console_mode="spice", usb_redirect=True).iterfind("devices/controller[@type='usb'][master]")
        assert [(each.get("model"), each.find("master").get("startport")) for each in found] == [
            ("ich9-uhci1", "0"),
            ("ich9-uhci2", "2"),
            ("ich9-uhci3", "4"),
        ]


class TestScsi:
    def test_a_vm_without_scsi_disks_has_a_controller_for_those_to_come(self) -> None:
        assert controllers("scsi") == [VIRTIO_SCSI]

    def test_libvirt_chooses_the_model_for_a_disk_that_only_says_scsi(self) -> None:
        assert controllers("scsi", data_volumes=[volume(1, use_scsi=True)]) == [{**VIRTIO_SCSI, "model": "auto"}]

    def test_a_disk_may_have_a_controller_of_its_own(self) -> None:
        volumes = [volume(1, controller_index=2, **SCSI), volume(2, controller_index=1, **SCSI), volume(3, **SCSI)]
        found = controllers("scsi", data_volumes=volumes)
        assert found == [VIRTIO_SCSI, {**VIRTIO_SCSI, "index": "1"}, {**VIRTIO_SCSI, "index": "2"}]

    def test_the_thread_of_such_a_disk_serves_its_controller(self) -> None:
        options = {"io_threads": [{"id": 3}], "data_volumes": [volume(1, controller_index=1, io_thread=3, **SCSI)]}
        assert attributes(domain(**options), "devices/controller[@index='1']/driver") == [{"iothread": "3"}]


class TestPci:
    @pytest.mark.parametrize("machine", ["pc", "q35"])
    def test_libvirt_adds_what_is_needed_unless_a_number_is_given(self, machine: str) -> None:
        assert pci(machine=machine) == []

    def test_a_pc_has_its_bridges_behind_the_root(self) -> None:
        assert pci(machine="pc", pci_bridge_num=2) == [("1", "pci-bridge"), ("2", "pci-bridge")]

    @pytest.mark.parametrize(("host", "machine"), [("debian-12", "q35"), ("el-7-aarch64", None)])
    def test_with_pci_express_the_ports_come_after_root_bridge_and_bridges(self, host: str, machine: str) -> None:
        assert pci(host, machine=machine, pci_bridge_num=1, pcie_port_num=2) == [
            ("0", "pcie-root"),
            ("1", "dmi-to-pci-bridge"),
            ("2", "pci-bridge"),
            ("3", "pcie-root-port"),
            ("4", "pcie-root-port"),
        ]

    def test_each_further_bridge_takes_the_index_of_a_port(self) -> None:
        models = [model for _index, model in pci(machine="q35", pci_bridge_num=2, pcie_port_num=2)]
        assert models == ["pcie-root", "dmi-to-pci-bridge", "pci-bridge", "pci-bridge", "pcie-root-port"]

    def test_the_sata_controller_of_q35_keeps_its_slot_beside_them(self) -> None:
        found = domain(machine="q35", pcie_port_num=2)
        assert attributes(found, "devices/controller[@type='sata']") == [{"type": "sata", "index": "0"}]
        assert attributes(found, "devices/controller[@type='sata']/address") == [
            {"type": "pci", "domain": "0x0000", "bus": "0x00", "slot": "0x1f", "function": "0x2"}
        ]
