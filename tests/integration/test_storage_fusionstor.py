# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs on FusionStor: exports of a real NBD server on the Unix socket that FusionStor uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage.fusionstor import NBD_SOCKET
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media, module_run, playbook
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.servers import NbdServer
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, virsh
from lxml import etree

ODD = "p:o,o l/i@m:a?g=e%41&é"


@pytest.fixture(scope="module", autouse=True)
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Yield a running server, and the files behind its exports."""
    directory = tmp_path_factory.mktemp("nbd")
    files = {
        "pool/raw": media.write_raw(directory / "raw", "I am raw"),
        "pool/shared": media.write_raw(directory / "shared", "I am shared"),
        "pool/changing": media.write_raw(directory / "changing", "I am changing"),
        "pool/qcow2": media.write_qcow2(directory / "qcow2", "I am qcow2"),
        ODD: media.write_raw(directory / "odd", "I am odd"),
        "bak/iso": media.write_cd(directory / "iso", "I am a CD"),
    }
    with NbdServer(files, socket=Path(NBD_SOCKET)):
        yield files


def volume(name: str, **options: Any) -> dict[str, Any]:
    return {"device_type": "fusionstor", "install_path": "fusionstor://" + name, **options}


def format_of(vm: dict[str, Any]) -> str:
    return definition(vm["uuid"]).find("devices/disk[@device='disk']/driver").get("type")


def test_a_guest_boots_from_fusionstor(new_vm: NewVm) -> None:
    vm = new_vm(root_volume=volume("pool/raw"))
    assert playbook.agreed(vm).actions == ["define", "start"]
    wait_for_text(vm["uuid"], "I am raw")
    again = playbook.agreed(vm)
    assert (again.result["changed"], again.actions) == (False, [])


@pytest.mark.parametrize(
    ("name", "text", "image_format"), [("pool/qcow2", "I am qcow2", "qcow2"), (ODD, "I am odd", "raw")]
)
def test_format_and_name_are_those_of_the_export(new_vm: NewVm, name: str, text: str, image_format: str) -> None:
    vm = new_vm(root_volume=volume(name))
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], text)
    assert format_of(vm) == image_format


def test_the_format_is_read_once(new_vm: NewVm, exports: dict[str, Path], images: Path) -> None:
    """A guest that writes the header of a qcow2 image into its raw disk still has a raw disk."""
    vm = new_vm(root_volume=volume("pool/changing"))
    module_run.start(vm)
    virsh("destroy", vm["uuid"])
    header = media.write_qcow2(images / "header", "x").read_bytes()[:4096]
    with exports["pool/changing"].open("r+b") as disk:
        disk.write(header)
    assert module_run.agreed(vm).actions == ["start"]
    assert format_of(vm) == "raw"


def test_a_guest_boots_from_a_cd(new_vm: NewVm) -> None:
    vm = new_vm(boot_iso=[{"path": "fusionstor://bak/iso@snap"}], boot_dev=["cdrom", "hd"])
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], "I am a CD")


def test_limits_hold_and_a_volume_can_be_shared(new_vm: NewVm) -> None:
    options = {"shareable": True, "qos": {"total_bandwidth": 7000000}}
    vms = [new_vm(root_volume=volume("pool/shared", **options)) for _number in range(2)]
    assert not module_run.agreed(*vms).failed
    for vm in vms:
        (disk,) = [each for each in qmp(vm["uuid"], "query-block") if "virtio" in (each["qdev"] or "")]
        assert disk["inserted"]["bps"] == 7000000
        wait_for_text(vm["uuid"], "I am shared")


def test_a_snapshot_in_a_file_on_top_of_the_export_is_kept(new_vm: NewVm, images: Path) -> None:
    """Even when only the header of the file names its backing image."""
    vm = new_vm(root_volume=volume("pool/raw"))
    module_run.start(vm)
    images.chmod(0o777)
    overlay = str(images / "overlay")
    virsh("snapshot-create-as", vm["uuid"], "s1", "--disk-only", "--atomic", "--diskspec", f"vda,file={overlay}")
    assert module_run.agreed(vm).actions == []
    virsh("destroy", vm["uuid"])
    virsh("snapshot-delete", vm["uuid"], "s1", "--metadata")
    forgotten = definition(vm["uuid"])
    store = forgotten.find("devices/disk/backingStore")
    store.getparent().remove(store)
    virsh("define", "/dev/stdin", stdin=etree.tostring(forgotten, encoding="unicode"))
    run = module_run.agreed(vm)
    assert run.actions == ["start"]
    assert run.vm["overlays"] == [{"target": "vda", "image": overlay, "overlay_of": "nbd:pool/raw"}]
    wait_for_text(vm["uuid"], "I am raw")
