# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and slots of the disks of a VM that lists its CD drives."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

FLOPPIES = ["/drivers/x86.vfd", "/drivers/amd64.vfd"]
LEGACY = {"use_virtio": False}
SCSI = {"use_virtio_scsi": True}


def volume(device_id: int, **options: Any) -> dict[str, Any]:
    return {"install_path": "/images/%d" % device_id, "device_id": device_id, **options}


def slots(host: str = "debian-12", **options: Any) -> dict[str, tuple[str, str]]:
    """Return bus and address (controller:bus:unit) of every disk by its name."""
    vm = parsed_vm(**{"cd_roms": [], **options})
    domain = build(vm, recorded_host(host), StorageFacts()).element
    return {disk.find("target").get("dev"): _slot(disk) for disk in domain.iterfind("devices/disk")}


def _slot(disk: Any) -> tuple[str, str]:
    address: Optional[Any] = disk.find("address")
    numbers = [] if address is None else [address.get(name) for name in ("controller", "bus", "unit")]
    return disk.find("target").get("bus"), ":".join(numbers)


def problems(**options: Any) -> list[str]:
    with pytest.raises(VmProblems) as caught:
        slots(**options)
    return [str(problem).partition(" (")[0] for problem in caught.value.problems]


def test_only_the_listed_drives_exist() -> None:
    assert list(slots()) == ["vda"]
    assert slots(cd_roms=[{"device_id": 1}]) == {"vda": ("virtio", ""), "hdd": ("ide", "0:1:0")}


@pytest.mark.parametrize(
    ("host", "machine", "drives"),
    [
        ("debian-12", "pc", {"hdc": ("ide", "0:0:1"), "hdd": ("ide", "0:1:0"), "hde": ("ide", "0:1:1")}),
        ("debian-12", "q35", {"hdc": ("sata", "0:0:1"), "hdd": ("sata", "0:0:2"), "hde": ("sata", "0:0:3")}),
        ("el-7-aarch64", None, {"sdc": ("scsi", "0:0:2"), "sdd": ("scsi", "0:0:3"), "sde": ("scsi", "0:0:4")}),
    ],
)
def test_each_machine_has_its_drives(host: str, machine: Optional[str], drives: dict[str, Any]) -> None:
    found = slots(host, machine=machine, cd_roms=[{}, {}, {}])
    assert {name: slot for name, slot in found.items() if name != "vda"} == drives


def test_the_letter_of_a_scsi_disk_decides_its_unit() -> None:
    found = slots(data_volumes=[volume(1, **SCSI), volume(2, **SCSI), volume(3, controller_index=2, **SCSI)])
    assert [found[name] for name in ("sdb", "sdd", "sde")] == [("scsi", "0:0:1"), ("scsi", "0:0:3"), ("scsi", "2:0:4")]


def test_on_aarch64_the_letters_of_the_drives_come_last() -> None:
    found = slots("el-7-aarch64", data_volumes=[volume(2), volume(3, **SCSI), volume(23, **SCSI), volume(24, **SCSI)])
    assert {"vdf", "sdg", "sdd", "sde"} <= set(found)


def test_a_disk_keeps_the_address_that_it_is_given() -> None:
    address = {"type": "drive", "controller": 0, "bus": 0, "target": 0, "unit": 9}
    assert slots(data_volumes=[volume(1, address=address, **SCSI)])["sdb"] == ("scsi", "0:0:9")


class TestOther:
    """Guests without virtio drivers."""

    def test_ide_disks_have_three_fixed_slots(self) -> None:
        found = slots(
            image_platform="Other",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(1, **LEGACY), volume(2, **LEGACY)],
            cd_roms=[{}],
        )
        assert found == {
            "hda": ("ide", "0:0:0"),
            "hdb": ("ide", "0:1:1"),
            "hdd": ("ide", "0:1:0"),
            "hdc": ("ide", "0:0:1"),
        }

    def test_sata_disks_have_three_fixed_ports(self) -> None:
        found = slots(
            machine="q35",
            image_platform="Other",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(1, **LEGACY), volume(2, **LEGACY)],
        )
        assert found == {"hda": ("sata", "0:0:0"), "hdb": ("sata", "0:0:4"), "hdd": ("sata", "0:0:5")}

    @pytest.mark.parametrize("machine", ["pc", "q35"])
    def test_there_is_no_slot_for_a_fourth(self, machine: str) -> None:
        (problem,) = problems(
            machine=machine,
            image_platform="Other",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(number, **LEGACY) for number in (1, 2, 3)],
        )
        assert problem.startswith(
            "vms[0].data_volumes[2].device_id: insufficient IDE address: with image_platform Other"
        )

    def test_virtio_disks_need_none(self) -> None:
        found = slots(
            image_platform="Other",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(1), volume(2, **LEGACY)],
        )
        assert found["hdd"] == ("ide", "0:1:1")

    def test_a_disk_gets_another_name_than_a_drive(self) -> None:
        found = slots(
            image_platform="Other",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(2, **LEGACY)],
            cd_roms=[{"device_id": 1}],
        )
        assert found == {"hda": ("ide", "0:0:0"), "hdf": ("ide", "0:1:1"), "hdd": ("ide", "0:1:0")}


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
