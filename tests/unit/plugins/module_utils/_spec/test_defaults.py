# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Omitted options are derived from others."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.options import nic, parsed, volume


@pytest.mark.parametrize(
    ("name", "items", "numbers"),
    [
        ("data_volumes", [volume(), volume(install_path="/b")], [1, 2]),
        ("boot_iso", [{"path": "/a.iso"}, {"path": "/b.iso"}], [0, 1]),
        ("cd_roms", [{}, {}], [0, 1]),
        ("scsi_luns", [{"path": "/dev/sg1"}, {"path": "/dev/sg2"}], [1, 2]),
        ("nics", [nic(), nic()], [0, 1]),
    ],
)
def test_devices_are_numbered_by_their_index(name: str, items: list[dict[str, Any]], numbers: list[int]) -> None:
    assert [item.device_id for item in getattr(parsed(**{name: items}), name)] == numbers


@pytest.mark.parametrize(
    ("given", "topology"),
    [
        ({}, (1, 12)),
        ({"use_numa": True}, (1, 12)),
        ({"socket_num": 3}, (3, 4)),
        ({"cpu_on_socket": 6}, (2, 6)),
        ({"socket_num": 2, "cpu_on_socket": 6}, (2, 6)),
    ],
)
def test_the_topology_is_completed(given: dict[str, Any], topology: tuple[int, int]) -> None:
    vm = parsed(cpu_num=12, **given)
    assert (vm.socket_num, vm.cpu_on_socket) == topology


def test_a_topology_that_grows_is_left_to_the_builder() -> None:
    vm = parsed(cpu_num=2, use_numa=True, max_vcpu_num=8)
    assert (vm.socket_num, vm.cpu_on_socket) == (None, None)


def test_half_a_topology_that_grows_is_completed_for_all_its_cpus() -> None:
    assert parsed(cpu_num=2, use_numa=True, max_vcpu_num=8, socket_num=2).cpu_on_socket == 4


def test_threads_count_as_cpus() -> None:
    assert parsed(cpu_num=12, threads_per_core=2).cpu_on_socket == 6


@pytest.mark.parametrize(
    ("options", "formats"),
    [
        pytest.param({}, ("qcow2", "qcow2"), id="file"),
        pytest.param({"format": "raw"}, ("raw", "raw"), id="file with a format"),
        pytest.param({"device_type": "ceph", "install_path": "ceph://p/i"}, (None, "raw"), id="other storage"),
    ],
)
def test_a_volume_to_create_has_a_format(options: dict[str, Any], formats: tuple[Optional[str], str]) -> None:
    vm = parsed(root_volume=volume(create={"size": "1GiB"}, mon_info=[{"hostname": "h"}], **options)).root_volume
    assert vm.create is not None
    assert (vm.format, vm.create.format) == formats


def test_a_data_volume_to_create_has_a_format_too() -> None:
    assert parsed(data_volumes=[volume(create={"size": "1GiB"})]).data_volumes[0].format == "qcow2"


class TestMac:
    def test_stays_with_the_device_id_when_the_order_changes(self) -> None:
        before = parsed(nics=[nic(device_id=0), nic(device_id=1)]).nics
        after = parsed(nics=[nic(device_id=1), nic(device_id=0)]).nics
        assert {item.device_id: item.mac for item in before} == {item.device_id: item.mac for item in after}

    def test_does_not_replace_a_given_one(self) -> None:
        assert parsed(nics=[nic(mac="FA:16:3E:00:00:01")]).nics[0].mac == "fa:16:3e:00:00:01"


class TestNicInternalName:
    def test_is_zstacks_where_the_vm_has_its_number(self) -> None:
        assert parsed(internal_id=7, nics=[nic(), nic()]).nics[1].nic_internal_name == "vnic7.1"

    def test_is_left_to_libvirt_where_it_has_none(self) -> None:
        assert parsed(nics=[nic()]).nics[0].nic_internal_name == ""

    def test_is_left_to_libvirt_where_it_would_be_too_long(self) -> None:
        assert parsed(internal_id=10**12, nics=[nic()]).nics[0].nic_internal_name == ""

    def test_may_be_given(self) -> None:
        assert parsed(internal_id=7, nics=[nic(nic_internal_name="tap0")]).nics[0].nic_internal_name == "tap0"
