# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of devices in the domain."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm

PCI = {"type": "pci", "slot": 31, "function": 2}
DRIVE = {"type": "drive", "controller": 1, "bus": 0, "target": 2, "unit": 4}


def address_of(**options: Any) -> dict[str, str]:
    vm = parsed_vm(root_volume={"install_path": "/images/root", **options})
    domain = build(vm, recorded_host("debian-12"), StorageFacts()).element
    return dict(domain.find("devices/disk/address").attrib)


def test_a_virtio_disk_has_a_pci_address() -> None:
    expected = {"type": "pci", "domain": "0x0000", "bus": "0x00", "slot": "0x1f", "function": "0x2"}
    assert address_of(address=PCI) == expected


def test_a_scsi_disk_has_the_whole_drive_address() -> None:
    expected = {"type": "drive", "controller": "1", "bus": "0", "target": "2", "unit": "4"}
    assert address_of(use_virtio_scsi=True, address=DRIVE) == expected


@pytest.mark.parametrize(
    ("options", "kind"), [({"address": DRIVE}, "pci"), ({"use_virtio": False, "address": PCI}, "drive")]
)
def test_an_address_of_the_other_kind_is_refused(options: dict[str, Any], kind: str) -> None:
    with pytest.raises(VmProblems, match="must be %s for a disk on the bus" % kind):
        address_of(**options)
