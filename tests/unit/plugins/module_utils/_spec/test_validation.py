# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contradictions between the options of a VM, and between VMs, are problems with their paths."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.options import (
    OTHER_UUID,
    UUID,
    nic,
    problems,
    vm,
    volume,
)


def problems_of(options: dict[str, Any]) -> list[str]:
    """Return the problems of a VM, if it has any."""
    return [str(problem) for problem in parse_vms([vm(**options)])[1]]


AGENT = {"socket_path": "/agent", "target_name": "org.qemu.guest_agent.0"}
BALLOON = {"type": "drive", "controller": 0, "bus": 0, "target": 0, "unit": 0}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param(
            {"data_volumes": [volume(device_id=1), volume(install_path="/b", device_id=1)]},
            "data_volumes[1].device_id: is the same as vms[0].data_volumes[0].device_id",
            id="device_id",
        ),
        pytest.param(
            {"data_volumes": [volume(install_path="/images/web.qcow2")]},
            "data_volumes[0].install_path: is the same as vms[0].root_volume.install_path",
            id="install_path",
        ),
        pytest.param(
            {"boot_dev": ["hd", "cdrom", "hd"]}, "boot_dev[2]: is the same as vms[0].boot_dev[0]", id="boot_dev"
        ),
        pytest.param(
            {"data_volumes": [volume(install_path="/%d" % number) for number in range(25)]},
            "data_volumes: are more than the 24 device names available for data volumes",
            id="too many volumes",
        ),
        pytest.param(
            {"boot_iso": [{"path": "/cd%d.iso" % number} for number in range(4)]},
            "boot_iso: are more than the 3 drives",
            id="too many CDs",
        ),
        pytest.param({"cd_roms": [{}] * 4}, "cd_roms: are more than the 3 drives", id="too many drives"),
        pytest.param(
            {"floppies": ["/a", "/b", "/c"]}, "floppies: are more than the 2 floppy drives", id="too many floppies"
        ),
        pytest.param(
            {"console_password": "123456789"},
            "console_password: is longer than 8 bytes, the limit of a VNC password",
            id="VNC password",
        ),
        pytest.param(
            {"console_mode": "spice", "console_password": "é" * 31},
            "console_password: is longer than 60 bytes, the limit of a SPICE password",
            id="SPICE password",
        ),
        pytest.param(
            {"usb_redirect": True},
            "usb_redirect: needs a spice console: VNC cannot redirect USB devices",
            id="USB redirection with VNC",
        ),
        pytest.param(
            {"usb_redirect": True, "appliance": True, "console_mode": "spice"},
            "usb_redirect: cannot be used with appliance, which has a single USB controller",
            id="USB redirection of an appliance",
        ),
        pytest.param(
            {"memory_balloon": {"address": BALLOON}},
            "memory_balloon.address.type: must be pci for a memory balloon",
            id="address of the balloon",
        ),
        pytest.param(
            {"wait_for": "guest_agent"},
            "wait_for: is guest_agent, but no channel of the VM has target_name org.qemu.guest_agent.0",
            id="no agent",
        ),
        pytest.param({"wait_for": "address"}, "wait_for: is address, but the VM has no NIC", id="no NIC"),
        pytest.param(
            {"domain_patches": [{"action": "remove", "xpath": "/domain/os", "value": "x"}]},
            "domain_patches[0].value: cannot be used with action remove",
            id="value of a patch",
        ),
        pytest.param(
            {"domain_patches": [{"action": "set", "xpath": "/domain/os"}]},
            "domain_patches[0].value: is required with action set",
            id="patch without a value",
        ),
    ],
)
def test_a_contradiction_within_a_vm(options: dict[str, Any], problem: str) -> None:
    assert problems(vm(**options)) == ["vms[0]." + problem]


PATCH = {"action": "add", "xpath": "/domain/devices", "value": "<interface type='user'/>"}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"wait_for": "address", "nics": [nic()]}, id="NIC"),
        pytest.param({"wait_for": "address", "domain_patches": [PATCH]}, id="NIC that may come by a patch"),
        pytest.param({"wait_for": "guest_agent", "channels": [AGENT]}, id="agent"),
        pytest.param({"wait_for": "guest_agent", "domain_patches": [PATCH]}, id="agent that may come by a patch"),
        pytest.param({"cd_roms": [{}] * 3, "floppies": ["/a", "/b"]}, id="all drives"),
        pytest.param({"boot_iso": [{"path": "/cd%d.iso" % number} for number in range(3)]}, id="all CDs"),
        pytest.param({"console_password": "12345678"}, id="longest VNC password"),
        pytest.param({"console_mode": "spice", "console_password": "é" * 30}, id="longest SPICE password"),
        pytest.param({"usb_redirect": True, "console_mode": "vnc_and_spice"}, id="USB redirection with both consoles"),
    ],
)
def test_options_that_fit_each_other(options: dict[str, Any]) -> None:
    assert problems_of(options) == []


@pytest.mark.parametrize(("use_virtio_scsi", "count"), [(True, 1), (False, 0)])
def test_only_scsi_disks_have_a_wwn_of_their_own(use_virtio_scsi: bool, count: int) -> None:
    disks = [
        volume(install_path=path, wwn=wwn, use_virtio_scsi=use_virtio_scsi)
        for path, wwn in (("/a", "0x500000000000000A"), ("/b", "500000000000000a"))
    ]
    assert len(problems_of({"data_volumes": disks})) == count


def test_an_image_that_a_vm_writes_to_is_none_to_create_volumes_from() -> None:
    other = vm(uuid=OTHER_UUID, root_volume=volume(install_path="/new", create={"image": "/images/web.qcow2"}))
    reason = "is the same as vms[0].root_volume.install_path: a VM writes to it"
    assert problems(vm(), other) == ["vms[1].root_volume.create.image: " + reason]


def test_a_device_is_no_nic_at_the_same_time() -> None:
    function = nic(pci_device_address="0a:00.1", mac="fa:00:00:00:00:01")
    del function["bridge_name"]
    assert problems(vm(pci_devices=["0a:00.1"], nics=[function])) == [
        "vms[0].nics[0].pci_device_address: is the same as vms[0].pci_devices[0]"
    ]


class TestAcrossVms:
    def test_two_vms_with_one_uuid(self) -> None:
        found = problems(vm(), vm(uuid=UUID.replace("-", "").upper(), root_volume=volume(install_path="/b")))
        assert found == ["vms[1].uuid: is the same as vms[0].uuid"]

    @pytest.mark.parametrize(
        ("options", "path"),
        [
            ({"nics": [nic(mac="fa:00:00:00:00:01")]}, "nics[0].mac"),
            ({"nics": [nic(nic_internal_name="tap1")]}, "nics[0].nic_internal_name"),
            ({"channels": [{"socket_path": "/a", "target_name": "a"}]}, "channels[0].socket_path"),
        ],
    )
    def test_what_two_vms_cannot_share(self, options: dict[str, Any], path: str) -> None:
        found = problems(vm(**options), vm(uuid=OTHER_UUID, root_volume=volume(install_path="/b"), **options))
        assert found == ["vms[1].%s: is the same as vms[0].%s" % (path, path)]

    @pytest.mark.parametrize(
        ("name", "one", "same"),
        [("pci_devices", "0a:00.0", "0000:0A:00.0"), ("usb_devices", "1:2:046d:c077:2", "1:2:046d:c077:3")],
    )
    def test_a_device_is_passed_through_to_one_vm(self, name: str, one: str, same: str) -> None:
        other = vm(uuid=OTHER_UUID, root_volume=volume(install_path="/b"), **{name: [same]})
        dummy, (problem,) = parse_vms([vm(**{name: [one]}), other])
        assert str(problem) == "vms[1].%s[0]: is the same as vms[0].%s[0]" % (name, name)
        assert problem.hint == "pass each device through once, to one VM only"

    def test_one_disk_in_two_vms_destroys_it(self) -> None:
        found = problems(vm(), vm(uuid=OTHER_UUID))
        assert [problem.partition(":")[0] for problem in found] == ["vms[1].root_volume.install_path"]

    def test_unless_both_know_that_it_is_shared(self) -> None:
        shared = volume(install_path="/shared.raw", shareable=True)
        vms, found = parse_vms(
            [
                vm(data_volumes=[shared]),
                vm(uuid=OTHER_UUID, root_volume=volume(install_path="/b"), data_volumes=[shared]),
            ]
        )
        assert (len(vms), found) == (2, [])

    def test_one_that_knows_is_not_enough(self) -> None:
        path = "/shared.raw"
        other = vm(uuid=OTHER_UUID, root_volume=volume(install_path=path, shareable=True))
        found = problems(vm(data_volumes=[volume(install_path=path)]), other)
        assert [problem.partition(":")[0] for problem in found] == ["vms[1].root_volume.install_path"]

    def test_two_passwords_for_one_target(self) -> None:
        def lun(number: int, password: str) -> dict[str, Any]:
            return volume(
                device_type="iscsi",
                install_path="iscsi://h:3260/iqn.2001-01.a:b/%d" % number,
                chap_username="u",
                chap_password=password,
            )

        found = problems(
            vm(memory="x", data_volumes=[lun(1, "one")]),
            vm(uuid=OTHER_UUID, root_volume=volume(install_path="/b"), data_volumes=[lun(2, "two")]),
        )
        assert [problem.partition(":")[0] for problem in found] == [
            "vms[0].memory",
            "vms[1].data_volumes[0].chap_password",
        ]

    def test_two_keys_for_one_secret(self) -> None:
        one, two = ({"ceph_secret": {"uuid": OTHER_UUID, "key": key}} for key in ("b25l", "dHdv"))
        other = {"uuid": OTHER_UUID, "root_volume": volume(install_path="/b")}
        assert problems(vm(**one), vm(**other, **one)) == []
        assert problems(vm(**one), vm(**other, **two)) == [
            "vms[1].ceph_secret.key: differs from vms[0].ceph_secret.key, for the same secret %s" % OTHER_UUID
        ]
