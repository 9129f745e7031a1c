# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which a VM boots from its devices: of kinds of devices, or of each device."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.boot_order import BootOrder, plan_boot
from ansible_collections.zstack.kvm.plugins.module_utils._domain.disk_layout import DiskLayout, DriveDisk
from ansible_collections.zstack.kvm.plugins.module_utils._domain.disk_slots import ide_drive
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._domain.built import domain

DRIVES = DiskLayout((), tuple(DriveDisk(number, None, ide_drive(number)) for number in (0, 2)))
NICS = [{"bridge_name": "br0"}, {"bridge_name": "br1"}]


@pytest.mark.parametrize(
    ("options", "order"),
    [
        pytest.param({"boot_dev": []}, BootOrder(kinds=("hd",)), id="libvirt's own"),
        pytest.param({"boot_dev": ["hd", "cdrom"]}, BootOrder(volumes={0: 1}), id="the disk first, with a boot menu"),
        pytest.param({"boot_dev": ["hd"], "use_boot_menu": False}, BootOrder(kinds=("hd",)), id="without a boot menu"),
        pytest.param(
            {"boot_dev": ["cdrom", "hd", "network"], "nics": NICS},
            BootOrder(kinds=("cdrom", "hd", "network")),
            id="the CD first",
        ),
        pytest.param(
            {"boot_dev": ["network", "cdrom", "hd"], "nics": NICS},
            BootOrder(nics={0: 1, 1: 2}, drives={0: 3, 2: 4}, volumes={0: 5}),
            id="every NIC and every drive that exists",
        ),
        pytest.param({"boot_dev": ["network"]}, BootOrder(kinds=("hd",)), id="the network without a NIC"),
    ],
)
def test_boot_dev_gives_the_order(options: dict[str, Any], order: BootOrder) -> None:
    assert plan_boot(parsed_vm(**options), DRIVES) == order


def orders(**options: Any) -> dict[str, str]:
    """Return the order of each device by its name."""
    return {
        boot.getparent().find("target").get("dev"): boot.get("order")
        for boot in domain(**options).iterfind("devices/*/boot")
    }


GIVEN = {
    "boot_dev": ["cdrom"],
    "root_volume": {"install_path": "/images/root", "boot_order": 3},
    "data_volumes": [{"install_path": "/images/data", "boot_order": 4}],
    "scsi_luns": [{"path": "/dev/disk/by-id/scsi-1", "device_id": 2, "boot_order": 5}],
    "cd_roms": [{"boot_order": 1}, {}],
    "nics": [{"bridge_name": "br0", "nic_internal_name": "vnic0", "boot_order": 2}],
}


def test_the_order_of_the_devices_replaces_boot_dev() -> None:
    assert orders(**GIVEN) == {"vda": "3", "vdb": "4", "sdd": "5", "hdc": "1", "vnic0": "2"}


def test_kinds_are_not_written_beside_the_order_of_devices() -> None:
    assert domain(**GIVEN).find("os/boot") is None


def test_without_any_order_libvirts_own_is_written() -> None:
    assert [boot.get("dev") for boot in domain(boot_dev=[]).iterfind("os/boot")] == ["hd"]
