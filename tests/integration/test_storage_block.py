# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and CDs that are block devices, named like those of LVM; QEMU opens them, guests boot from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed
from ansible_collections.zstack.kvm.tests.support.loop_devices import NewDevice, loop_devices
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, virsh
from lxml import etree


@pytest.fixture
def new_device() -> Iterator[NewDevice]:
    """Yield a function that creates block devices, which are removed after the test."""
    with loop_devices() as make:
        yield make


def disk(vm: dict[str, Any], device: str = "disk", inactive: bool = True) -> tuple[str, str, str, str]:
    """Return type, format and source (file, device) of the VM's last disk or its first drive."""
    found = definition(vm["uuid"], inactive).findall(f"devices/disk[@device='{device}']")
    element = found[-1 if device == "disk" else 0]
    source = element.find("source")
    where = ("", "") if source is None else (source.get("file", ""), source.get("dev", ""))
    return (element.get("type"), element.find("driver").get("type"), *where)


def is_in_sync(vm: dict[str, Any]) -> bool:
    """Return whether a run has nothing to do, neither now nor at the next boot."""
    run = agreed(vm, on_drift="live")
    return not run.failed and not run.result["changed"] and not run.vm["differences"]


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_vm_boots_from_a_block_device(new_vm: NewVm, new_device: NewDevice, images: Path, image_format: str) -> None:
    write = {"raw": media.write_raw, "qcow2": media.write_qcow2}[image_format]
    root = new_device(write(images / "root", f"I am {image_format} on a device"), "root")
    vm = new_vm(root_volume={"install_path": str(root)})
    run = agreed(vm)
    assert not run.failed, run.error
    wait_for_text(vm["uuid"], f"I am {image_format} on a device")
    assert disk(vm) == ("block", image_format, "", str(root))
    assert is_in_sync(vm)


def test_a_definition_that_has_a_device_as_a_file_is_repaired(
    new_vm: NewVm, new_device: NewDevice, images: Path
) -> None:
    root = new_device(media.write_raw(images / "root", "I am repaired"), "root")
    vm = new_vm(root_volume={"install_path": str(root)})
    agreed(vm)
    virsh("destroy", vm["uuid"])
    broken = definition(vm["uuid"])
    element = broken.find("devices/disk")
    element.set("type", "file")
    element.replace(element.find("source"), etree.Element("source", file=str(root)))
    virsh("define", "/dev/stdin", stdin=etree.tostring(broken, encoding="unicode"))
    run = agreed(vm)
    assert (run.actions, [each["path"] for each in run.vm["differences"]]) == (
        ["define", "start"],
        [
            "devices/disk[target=vda]/@type",
            "devices/disk[target=vda]/source/@dev",
            "devices/disk[target=vda]/source/@file",
        ],
    )
    wait_for_text(vm["uuid"], "I am repaired")


def test_a_volume_that_moves_from_a_file_to_a_device_and_back(
    new_vm: NewVm, new_device: NewDevice, images: Path
) -> None:
    vm = new_vm()
    agreed(vm)
    virsh("destroy", vm["uuid"])
    root = new_device(media.write_raw(images / "moved", "I have moved"), "root")
    moved = {**vm, "root_volume": {"install_path": str(root)}}
    assert agreed(moved).actions == ["define", "start"]
    wait_for_text(vm["uuid"], "I have moved")
    virsh("destroy", vm["uuid"])
    assert agreed(vm).actions == ["define", "start"]
    assert disk(vm)[0] == "file"


def test_a_running_vm_gets_a_device_and_loses_it_again(new_vm: NewVm, new_device: NewDevice, images: Path) -> None:
    vm = new_vm()
    agreed(vm)
    data = new_device(media.write_raw(images / "data", ""), "data")
    more = {**vm, "data_volumes": [{"install_path": str(data), "device_id": 1}]}
    run = agreed(more, on_drift="live")
    assert (run.actions, run.vm["restart_required"]) == (["define", "attach_volume"], False)
    assert disk(vm, inactive=False) == ("block", "raw", "", str(data))
    opened = {each["inserted"]["file"] for each in qmp(vm["uuid"], "query-block") if "inserted" in each}
    assert str(data) in opened
    assert is_in_sync(more)


def test_the_cd_of_a_running_vm_changes_between_file_device_and_none(
    new_vm: NewVm, new_device: NewDevice, images: Path
) -> None:
    device = new_device(media.write_cd(images / "one.iso", "I am a CD on a device"), "cd")
    file = media.write_cd(images / "two.iso", "I am a CD")
    vm = new_vm(boot_iso=[{"path": str(device)}], boot_dev=["cdrom", "hd"])
    assert not agreed(vm).failed
    wait_for_text(vm["uuid"], "I am a CD on a device")
    assert disk(vm, "cdrom") == ("block", "raw", "", str(device))
    for cds, expected in (
        ([{"path": str(file)}], ("file", "raw", str(file), "")),
        ([{"path": str(device)}], ("block", "raw", "", str(device))),
        ([], ("file", "raw", "", "")),
        ([{"path": str(device)}], ("block", "raw", "", str(device))),
    ):
        changed = {**vm, "boot_iso": cds}
        run = agreed(changed, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == (["define", "change_media"], False)
        assert disk(vm, "cdrom") == expected
        assert is_in_sync(changed)
    virsh("change-media", vm["uuid"], "hdc", "--eject", "--live", "--config")
    assert is_in_sync({**vm, "boot_iso": []})


def test_a_missing_device_is_found_before_the_start(new_vm: NewVm) -> None:
    vm = new_vm(root_volume={"install_path": "/dev/vg-none/root", "format": "raw"})
    run = failed(vm)
    assert (run.error["code"], run.actions) == ("image_missing", [])
