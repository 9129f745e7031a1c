# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a VM that lists its CD drives, collisions among them, and floppies."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.disks import LEGACY, SCSI, slots, volume

FLOPPIES = ["/drivers/x86.vfd", "/drivers/amd64.vfd"]


def problems(**options: Any) -> list[str]:
    with pytest.raises(VmProblems) as caught:
        slots(**options)
    return [str(problem).partition(" (")[0] for problem in caught.value.problems]


def test_only_the_listed_drives_exist() -> None:
    assert list(slots()) == ["vda"]
    assert slots(cd_roms=[{"device_id": 1}]) == {"vda": ("virtio", ""), "hdd": ("ide", "0:1:0")}


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_there_is_no_slot_for_a_fourth_disk_without_virtio(machine: str) -> None:
    (problem,) = problems(
        machine=machine,
        image_platform="Other",
        root_volume=volume(0, **LEGACY),
        data_volumes=[volume(number, **LEGACY) for number in (1, 2, 3)],
    )
    assert problem.startswith("vms[0].data_volumes[2].device_id: insufficient IDE address: with image_platform Other")


class TestCollisions:
    def test_two_disks_on_one_drive_address_are_named(self) -> None:
        address = {"type": "drive", "unit": 1}
        found = problems(data_volumes=[volume(1, **SCSI), volume(2, address=address, **SCSI)])
        assert found == [
            "vms[0].data_volumes[1].address: the disk has the drive address 0:0:0:1",
        ]

    def test_a_disk_in_the_slot_of_a_drive(self) -> None:
        (problem,) = problems(
            root_volume=volume(0, **LEGACY), data_volumes=[volume(1, **LEGACY)], cd_roms=[{"device_id": 0}]
        )
        assert problem.startswith("vms[0].cd_roms[0].device_id: the disk has the drive address 0:0:0:1")

    def test_a_lun_with_the_number_of_a_scsi_disk(self) -> None:
        lun = {"path": "/dev/disk/by-id/scsi-1", "device_id": 1}
        (problem,) = problems(data_volumes=[volume(1, **SCSI)], scsi_luns=[lun])
        assert (
            problem == "vms[0].scsi_luns[0].device_id: the disk has the name sdb, which vms[0].data_volumes[0] has too"
        )


class TestFloppies:
    def test_those_that_exist_are_in_drives(self) -> None:
        vm = parsed_vm(floppies=FLOPPIES)
        facts = StorageFacts(floppies=frozenset(FLOPPIES[1:]))
        domain = build(vm, recorded_host("debian-12"), facts).element
        (floppy,) = domain.findall('devices/disk[@device="floppy"]')
        assert (floppy.find("target").get("dev"), floppy.find("source").get("file")) == ("fda", FLOPPIES[1])
        assert floppy.find("readonly") is not None

    def test_aarch64_has_none(self) -> None:
        vm = parsed_vm(floppies=FLOPPIES)
        domain = build(vm, recorded_host("el-7-aarch64"), StorageFacts(floppies=frozenset(FLOPPIES))).element
        assert domain.find('devices/disk[@device="floppy"]') is None


@pytest.mark.parametrize(
    ("bus", "machine", "number", "highest"),
    [
        (LEGACY, "pc", {"controller": 1}, "controller: must be at most 0 for a disk on the bus ide"),
        (LEGACY, "pc", {"unit": 2}, "unit: must be at most 1 for a disk on the bus ide"),
        (LEGACY, "q35", {"unit": 6}, "unit: must be at most 5 for a disk on the bus sata"),
        (LEGACY, "q35", {"bus": 1}, "bus: must be at most 0 for a disk on the bus sata"),
        (SCSI, "pc", {"bus": 1}, "bus: must be at most 0 for a disk on the bus scsi"),
    ],
)
def test_an_address_that_the_controller_lacks(
    bus: dict[str, bool], machine: str, number: dict[str, int], highest: str
) -> None:
    address = {"type": "drive", "unit": 0, **number}
    found = problems(machine=machine, data_volumes=[volume(1, address=address, **bus)])
    assert found == ["vms[0].data_volumes[0].address." + highest]
