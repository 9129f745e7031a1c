# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM knows what follows from its options."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._spec import vm as model
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import CloudInit, DriveSlot, PciSlot
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._spec.options import UUID, nic, parsed, volume

PCI = {"type": "pci", "slot": 5}
DRIVE = {"type": "drive", "unit": 3}


@pytest.mark.parametrize(
    ("slot", "text"),
    [
        (PciSlot(0, 10, 31, 7), "PCI address 0000:0a:1f.7"),
        (DriveSlot(0, 1, 2, 13), "drive address 0:1:2:13"),
    ],
    ids=["PCI", "drive"],
)
def test_an_address_reads_in_messages(slot: object, text: str) -> None:
    assert str(slot) == text


def is_immutable(part: Any) -> bool:
    """Return whether a class is that of a named tuple or of a frozen dataclass."""
    parameters = getattr(part, "__dataclass_params__", None)
    return issubclass(part, tuple) or (parameters is not None and parameters.frozen)


def test_every_part_of_the_model_is_immutable() -> None:
    parts: list[Any] = [part for part in vars(model).values() if getattr(part, "__module__", "") == model.__name__]
    assert len(parts) > 20
    assert [part.__name__ for part in parts if not is_immutable(part)] == []


def test_addresses_of_different_kinds_differ() -> None:
    assert PciSlot(0, 1, 2, 3) != DriveSlot(0, 1, 2, 3)


def test_the_documents_of_cloud_init_are_not_shown() -> None:
    assert "hunter2" not in repr(CloudInit("vms[0].cloud_init", {"user-data": "hunter2"}))


def test_is_named_by_the_digits_of_its_uuid() -> None:
    assert parsed().domain_name == UUID.replace("-", "")


def test_has_a_label_on_one_line() -> None:
    assert parsed(name="web\nserver").label == f"VM web server ({UUID})"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"firmware": "bios"}, False),
        ({"firmware": "uefi"}, True),
        ({"firmware": "uefi_with_csm"}, True),
        ({"arch": "aarch64"}, True),
    ],
)
def test_has_uefi(options: dict[str, Any], expected: bool) -> None:
    assert parsed(**options).has_uefi is expected


@pytest.mark.parametrize(
    ("mode", "expected"), [("vnc", False), ("none", False), ("spice", True), ("vnc_and_spice", True)]
)
def test_has_spice(mode: str, expected: bool) -> None:
    assert parsed(console_mode=mode).has_spice is expected


@pytest.mark.parametrize(
    ("is_wanted", "path"),
    [(False, None), (True, "/var/lib/libvirt/qemu/zstack/%s.sock" % UUID.replace("-", ""))],
    ids=["without", "with"],
)
def test_has_an_additional_qmp_socket(is_wanted: bool, path: Optional[str]) -> None:
    assert parsed(additional_qmp=is_wanted).qmp_socket == path


def test_volumes_are_in_order_of_device_id() -> None:
    result = parsed(data_volumes=[volume(device_id=2), volume(install_path="/b", device_id=1)])
    assert [each.device_id for each in result.volumes] == [0, 1, 2]


@pytest.mark.parametrize(
    "options",
    [{"boot_iso": [{"path": "/cd.iso"}]}, {"cd_roms": [{"device_id": 0}, {"device_id": 1, "path": "/cd.iso"}]}],
    ids=["CDs", "drives"],
)
def test_cds_are_those_in_the_drives(options: dict[str, Any]) -> None:
    assert [cd.path for cd in parsed(**options).cds] == ["/cd.iso"]


def test_addresses_are_those_of_all_devices() -> None:
    result = parsed(
        root_volume=volume(use_virtio_scsi=True, address=DRIVE),
        nics=[nic(), nic(address=PCI)],
        memory_balloon={"address": {**PCI, "slot": 6}},
    )
    assert result.addresses == (
        ("vms[0].root_volume", DriveSlot(0, 0, 0, 3)),
        ("vms[0].nics[1]", PciSlot(0, 0, 5, 0)),
        ("vms[0].memory_balloon", PciSlot(0, 0, 6, 0)),
    )
