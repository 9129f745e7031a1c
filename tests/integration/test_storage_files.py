# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The format of a file volume is read from the file once; afterwards the definition's is used."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media, module_run, playbook
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state, virsh


def format_of(vm: dict[str, Any]) -> str:
    return definition(vm["uuid"]).find("devices/disk[@device='disk']/driver").get("type")


@pytest.fixture
def raw_disk(images: Path) -> Path:
    return media.write_raw(images / "disk", "I am raw")


def disguise(disk: Path) -> None:
    """Write to a raw disk, as a guest can, the header of a qcow2 image with a backing file of the host."""
    image = media.write_qcow2(disk.with_name("disguise"), "x").read_bytes()
    with disk.open("r+b") as raw:
        raw.write(image[:4096])


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_the_format_is_what_the_file_has(new_vm: NewVm, images: Path, image_format: str) -> None:
    write = {"raw": media.write_raw, "qcow2": media.write_qcow2}[image_format]
    vm = new_vm(root_volume={"install_path": str(write(images / "disk", "I am " + image_format))})
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], "I am " + image_format)
    assert format_of(vm) == image_format


def test_a_raw_disk_that_now_claims_to_be_qcow2_is_an_error(new_vm: NewVm, raw_disk: Path) -> None:
    vm = new_vm(root_volume={"install_path": str(raw_disk)})
    module_run.start(vm)
    virsh("destroy", vm["uuid"])
    disguise(raw_disk)
    run = playbook.failed(vm)
    assert run.error["code"] == "image_format"
    assert run.actions == []
    assert state(vm["uuid"]) == "shut off"
    assert format_of(vm) == "raw"


def test_a_raw_disk_of_unknown_format_cannot_refer_to_other_files(new_vm: NewVm, raw_disk: Path) -> None:
    """The hypervisor has no definition of the VM yet."""
    header = raw_disk.with_name("header")
    backing = ["-u", "-F", "raw", "-b", "/etc/passwd"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, header, "1M"], check=True)
    with raw_disk.open("r+b") as raw:
        raw.write(header.read_bytes()[:4096])
    vm = new_vm(root_volume={"install_path": str(raw_disk)})
    run = module_run.failed(vm)
    assert run.error["code"] == "backing_file_outside"
    assert state(vm["uuid"]) == "absent"


def test_it_is_one_for_a_vm_that_runs_too(new_vm: NewVm, raw_disk: Path) -> None:
    vm = new_vm(root_volume={"install_path": str(raw_disk)})
    module_run.start(vm)
    disguise(raw_disk)
    assert module_run.failed(vm).error["code"] == "image_format"
    assert state(vm["uuid"]) == "running"


def test_a_qcow2_disk_that_no_longer_is_one_is_an_error(new_vm: NewVm, images: Path) -> None:
    disk = media.write_qcow2(images / "disk", "I am qcow2")
    vm = new_vm(root_volume={"install_path": str(disk)})
    module_run.start(vm)
    virsh("destroy", vm["uuid"])
    media.write_raw(disk, "I am raw")
    assert module_run.failed(vm).error["code"] == "image_format"


@pytest.mark.parametrize(("stated", "found"), [("raw", "qcow2"), ("qcow2", "raw")])
def test_a_stated_format_that_the_file_does_not_have_is_an_error(
    new_vm: NewVm, images: Path, stated: str, found: str
) -> None:
    write = {"raw": media.write_raw, "qcow2": media.write_qcow2}[found]
    vm = new_vm(root_volume={"install_path": str(write(images / "disk", "x")), "format": stated})
    assert module_run.failed(vm).error["code"] == "image_format"
    assert state(vm["uuid"]) == "absent"


@pytest.mark.parametrize("other", ["vmdk", "vdi", "vpc"])
def test_any_other_format_is_an_error(new_vm: NewVm, images: Path, other: str) -> None:
    disk = media.write_raw(images / "disk", "x")
    image = images / "image"
    convert(disk, image, other)
    run = module_run.failed(new_vm(root_volume={"install_path": str(image)}))
    assert run.error["code"] == "image_format"
    assert other in run.error["message"]


def convert(disk: Path, image: Path, image_format: str) -> None:
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", image_format, disk, image], check=True)


def test_the_lock_of_a_running_vm_does_not_block_reading_the_format(new_vm: NewVm, images: Path) -> None:
    """Check mode reads the format of a disk that another VM has open."""
    disk = media.write_qcow2(images / "disk", "I am qcow2")
    volume = {"install_path": str(disk)}
    module_run.start(new_vm(root_volume=volume))
    run = module_run.start(new_vm(root_volume=volume), check=True)
    assert not run.failed
    (warning,) = run.vm["warnings"]
    assert "is also an image of VM" in warning


def test_a_format_that_cannot_be_read_counts_as_qcow2_in_check_mode(new_vm: NewVm, images: Path) -> None:
    run = module_run.start(new_vm(root_volume={"install_path": str(images / "none")}), check=True)
    assert not run.failed
    assert "does not exist" in " ".join(run.vm["warnings"])
    assert '<driver name="qemu" type="qcow2"' in run.result["diff"][0]["after"]


def test_a_directory_is_no_image(new_vm: NewVm, images: Path) -> None:
    run = module_run.failed(new_vm(root_volume={"install_path": str(images)}))
    assert run.error["code"] == "image_missing"
