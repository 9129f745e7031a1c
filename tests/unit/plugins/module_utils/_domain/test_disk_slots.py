# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses of disks and CD drives, by their numbers."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import attributes, domain
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.disks import LEGACY, SCSI, slots, volume


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


def test_a_lun_has_the_slot_of_a_scsi_disk_with_its_number() -> None:
    found = slots(scsi_luns=[{"path": "/dev/disk/by-id/scsi-1", "device_id": 2}])
    assert found["sdd"] == ("scsi", "0:0:3")


@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize("lists_drives", [True, False])
@pytest.mark.parametrize("platform", ["Linux", "Other"])
def test_every_target_is_0(machine: str, lists_drives: bool, platform: str) -> None:
    options = {"machine": machine, "image_platform": platform, "root_volume": volume(0, **LEGACY)}
    found = domain(data_volumes=[volume(2, **SCSI)], cd_roms=[{}] if lists_drives else None, **options)
    assert [each["target"] for each in attributes(found, "devices/disk/address")] == ["0"] * len(
        found.findall("devices/disk")
    )


def test_every_target_of_aarch64_is_0() -> None:
    found = domain("el-7-aarch64", cd_roms=[{}, {}])
    assert [each["target"] for each in attributes(found, "devices/disk/address")] == ["0", "0"]


def test_the_free_unit_of_scsi_is_behind_those_of_all_volumes() -> None:
    found = slots("el-7-aarch64", cd_roms=None, data_volumes=[volume(2, **SCSI)])
    assert found["sdc"] == ("scsi", "0:0:25")


def test_on_aarch64_the_drive_that_always_exists_makes_way_for_luns() -> None:
    luns: list[dict[str, Any]] = [{"path": "/dev/sd%d" % number, "device_id": number} for number in (1, 2)]
    luns.append({"path": "/dev/sd3", "device_id": 3, "address": {"type": "drive", "unit": 25}})
    found = slots("el-7-aarch64", cd_roms=None, scsi_luns=luns)
    assert found["sdc"] == ("scsi", "0:0:26")
    assert len(set(found.values())) == len(found)


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

    def test_each_disk_gets_another_name(self) -> None:
        found = slots(
            machine="q35",
            image_platform="Other",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(2, **LEGACY), volume(3, **LEGACY)],
            cd_roms=[{"device_id": 1}, {"device_id": 2}],
        )
        assert {name for name, (_bus, slot) in found.items() if slot in ("0:0:0", "0:0:4", "0:0:5")} == {
            "hda",
            "hdf",
            "hdg",
        }

    def test_a_slot_that_a_disk_is_given_is_not_one_of_the_fixed(self) -> None:
        address = {"type": "drive", "bus": 1, "unit": 1}
        found = slots(
            image_platform="Other",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(1, address=address, **LEGACY), volume(2, **LEGACY)],
        )
        assert found == {"hda": ("ide", "0:0:0"), "hdb": ("ide", "0:1:1"), "hdd": ("ide", "0:1:0")}


class TestAVmThatDoesNotListItsDrives:
    """Its disks are where ZStack 2.3.1 had them."""

    def slots(self, **options: Any) -> dict[str, tuple[str, str]]:
        return slots(cd_roms=None, **options)

    def test_the_number_of_a_scsi_disk_is_its_unit(self) -> None:
        found = self.slots(data_volumes=[volume(1, **SCSI), volume(2, **SCSI), volume(24, **SCSI)])
        assert [found[name] for name in ("sdb", "sdd", "sdz")] == [
            ("scsi", "0:0:1"),
            ("scsi", "0:0:2"),
            ("scsi", "0:0:24"),
        ]

    @pytest.mark.parametrize(
        ("numbers", "others"),
        [((2, 3), {"hdc": ("ide", "0:0:1")}), ((1, 2, 3), {"sdb": ("ide", "0:0:1")})],
        ids=["three", "four"],
    )
    def test_ide_disks_have_the_four_slots_and_drives_what_is_left(
        self, numbers: tuple[int, ...], others: dict[str, Any]
    ) -> None:
        found = self.slots(
            root_volume=volume(0, **LEGACY), data_volumes=[volume(number, **LEGACY) for number in numbers]
        )
        assert found == {"sda": ("ide", "0:0:0"), "sdd": ("ide", "0:1:1"), "sde": ("ide", "0:1:0"), **others}

    def test_ide_has_no_slot_for_the_disk_after_those(self) -> None:
        with pytest.raises(VmProblems, match="IDE has no slot for device_id 4"):
            self.slots(data_volumes=[volume(4, **LEGACY)])

    def test_sata_disks_come_after_the_ports_of_the_drives(self) -> None:
        found = self.slots(
            machine="q35",
            root_volume=volume(0, **LEGACY),
            data_volumes=[volume(number, **LEGACY) for number in (1, 2, 3)],
        )
        assert found == {
            "sda": ("sata", "0:0:0"),
            "sdb": ("sata", "0:0:4"),
            "sdd": ("sata", "0:0:5"),
            "sde": ("sata", "1:0:0"),
            "sdc": ("sata", "0:0:1"),
            "sdaa": ("sata", "0:0:2"),
            "sdab": ("sata", "0:0:3"),
        }

    @pytest.mark.parametrize(
        ("machine", "device_type", "install_path", "name"),
        [
            ("pc", "file", "/images/root", "sda"),
            ("pc", "block", "/dev/vg/root", "sda"),
            ("pc", "ceph", "ceph://pool/root", "hda"),
            ("q35", "ceph", "ceph://pool/root", "sda"),
        ],
    )
    def test_an_ide_disk_in_a_file_is_named_like_a_scsi_disk(
        self, machine: str, device_type: str, install_path: str, name: str
    ) -> None:
        root = {"device_type": device_type, "install_path": install_path, "mon_info": [{"hostname": "10.0.9.1"}]}
        assert name in self.slots(machine=machine, root_volume={**root, **LEGACY})
