# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that operators meet: each has its code and hint, leaves no VM behind, and shows no traceback."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.virsh import state, virsh


def fails(vm: dict[str, Any], code: str, rollback: Optional[str] = "done", **options: Any) -> TaskRun:
    """Start a new VM, and assert that it fails with this code and leaves nothing."""
    run = failed(vm, **options)
    assert (run.error["code"], rollback or run.error["rollback"]) == (code, run.error["rollback"]), run.error
    assert run.error["hint"]
    assert run.error["message"] in run.result["msg"]
    assert "Traceback" not in run.output
    assert state(vm["uuid"]) == "absent"
    assert not run.result["changed"]
    return run


def test_all_that_is_wrong_with_the_input_is_named_together_and_no_vm_is_touched(new_vm: NewVm) -> None:
    good, bad = new_vm(), new_vm(
        memory=0,
        cpu_num="many",
        data_volumes=[{"install_path": "/a.qcow2", "device_id": 3}, {"install_path": "/b.qcow2", "device_id": 3}],
        nics=[{"bridge_name": "br_eth0", "mac": "no mac"}],
        name="a bell: \7",
        colour="blue",
    )  # fmt: skip
    run = agreed(good, bad)
    assert run.failed and run.result["msg"].startswith("6 problems in the input:\n"), run.result["msg"]
    for option in ("memory", "cpu_num", "data_volumes[1].device_id", "nics[0].mac", "name", "colour"):
        assert f"vms[1].{option}: " in run.result["msg"], run.result["msg"]
    assert "vms[0]" not in run.result["msg"] and "Traceback" not in run.output
    assert {state(vm["uuid"]) for vm in (good, bad)} == {"absent"}


class TestFoundBeforeAnythingIsChanged:
    def test_all_that_is_missing_is_named_together(self, new_vm: NewVm, images: Path) -> None:
        vm = new_vm(
            root_volume={"install_path": str(images / "none.qcow2")},
            boot_iso=[{"path": str(images / "none.iso")}],
            nics=[{"bridge_name": "br_none"}],
            pci_devices=["0000:ff:1f.7"],
            usb_devices=["9:9:dead:beef:2"],
            console_listen="203.0.113.9",
        )
        run = fails(vm, "address_missing", "not_needed")
        for option in (
            "vms[0].root_volume.install_path",
            "vms[0].boot_iso[0].path",
            "vms[0].nics[0].bridge_name",
            "vms[0].pci_devices[0]",
            "vms[0].usb_devices[0]",
            "vms[0].console_listen",
        ):
            assert option in run.error["message"]

    def test_in_check_mode_it_is_a_warning_and_the_domain_is_shown(self, new_vm: NewVm, images: Path) -> None:
        vm = new_vm(root_volume={"install_path": str(images / "none")}, nics=[{"bridge_name": "br_none"}])
        run = start(vm, check=True)
        assert (run.failed, run.actions) == (False, ["define", "start"])
        assert any("br_none" in warning for warning in run.vm["warnings"])
        assert '<source bridge="br_none"/>' in run.result["diff"][0]["after"]
        assert 'type="qcow2"' in run.result["diff"][0]["after"]

    def test_the_change_of_an_existing_vm_is_shown_too(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("destroy", vm["uuid"])
        run = failed({**vm, "cpu_num": 2, "nics": [{"bridge_name": "br_none"}]})
        assert (run.error["code"], run.actions) == ("bridge_missing", [])
        assert {"path": "vcpu", "before": "1", "after": "2"} in run.vm["differences"]

    def test_too_little_memory_is_a_warning(self, new_vm: NewVm) -> None:
        run = start(new_vm(memory="1TiB"), check=True)
        assert any("memory free" in warning for warning in run.vm["warnings"])

    def test_no_kvm(self, new_vm: NewVm) -> None:
        # Even with a /dev/kvm, KVM runs only the host's own architecture.
        foreign = {"arch": "aarch64"} if Path("/dev/kvm").exists() else {}
        fails(new_vm(domain_type="kvm", **foreign), "unsupported_domain_type", "not_needed")


class TestTheAgentsTexts:
    def test_not_enough_memory(self, new_vm: NewVm) -> None:
        fails(new_vm(memory="200TiB"), "not_enough_memory")

    def test_a_limit_beyond_what_the_kernel_accepts(self, new_vm: NewVm) -> None:
        # libvirt checks averages itself. It passes a burst on to the kernel; newer releases refuse it before.
        limits = {"outbound_bandwidth": 8_192_000}
        burst = "<bandwidth><outbound average='1000' burst='99999999'/></bandwidth>"
        patch = {"action": "replace", "xpath": "/domain/devices/interface/bandwidth", "value": burst}
        fails(
            new_vm(nics=[{"bridge_name": "br_eth0", "qos": limits}], domain_patches=[patch]), "qos_limit", rollback=None
        )


class TestImages:
    def test_one_that_another_process_writes(self, new_vm: NewVm) -> None:
        first = new_vm()
        start(first)
        run = fails(new_vm(root_volume=first["root_volume"]), "image_locked")
        assert run.error["libvirt"]["message"]
        assert state(first["uuid"]) == "running"

    def test_one_that_qemu_may_not_open(self, new_vm: NewVm, images: Path) -> None:
        private = images / "private"
        private.mkdir(mode=0o700)
        disk = media.write_qcow2(private / "disk.qcow2", "nobody reads this")
        fails(new_vm(root_volume={"install_path": str(disk)}), "image_permission")

    def test_one_whose_format_is_not_supported(self, new_vm: NewVm, images: Path) -> None:
        disk = images / "disk.vmdk"
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", disk, "10M"], check=True)
        fails(new_vm(root_volume={"install_path": str(disk)}), "image_format", "not_needed")


def test_a_port_that_is_taken(new_vm: NewVm) -> None:
    with socket.create_server(("127.0.0.1", 5999)):
        graphics = "<graphics type='vnc' port='5999' autoport='no' listen='127.0.0.1'/>"
        patch = {"action": "replace", "xpath": "/domain/devices/graphics", "value": graphics}
        fails(new_vm(domain_patches=[patch]), "address_in_use", "not_needed")


def test_a_domain_that_libvirt_does_not_accept(new_vm: NewVm) -> None:
    patches = [{"action": "add", "xpath": "/domain/devices", "value": "<unheard/>"}]
    fails(new_vm(domain_patches=patches), "invalid_domain", "not_needed")


def test_a_device_that_qemu_does_not_have(new_vm: NewVm) -> None:
    patches = [{"action": "set", "xpath": "/domain/devices/memballoon/@model", "value": "virtio-transitional"}]
    patches.append({"action": "add", "xpath": "/domain/devices", "value": "<watchdog model='diag288' action='none'/>"})
    fails(new_vm(domain_patches=patches), "unsupported_device", "not_needed")


def test_no_room_for_the_definition(new_vm: NewVm) -> None:
    vm = new_vm()
    with full_file_system("/etc/libvirt/qemu"):
        fails(vm, "disk_full", "not_needed")
    assert agreed(vm).actions == ["define", "start"]


def test_no_room_for_the_backup_leaves_the_vm_as_it_was(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    Path("/var/lib/zstack-kvm/backups").mkdir(parents=True, exist_ok=True)
    before = virsh("dumpxml", vm["uuid"], "--inactive")
    with full_file_system("/var/lib/zstack-kvm/backups"):
        run = failed({**vm, "cpu_num": 2}, backup=True)
    assert run.error["code"] == "disk_full"
    assert virsh("dumpxml", vm["uuid"], "--inactive") == before
    assert agreed({**vm, "cpu_num": 2}, backup=True).actions == ["back_up_definition", "define"]


@contextmanager
def full_file_system(path: str) -> Iterator[None]:
    """Mount a file system without free space at the path."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=1", "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


class TestLibvirtItself:
    def test_not_there(self, new_vm: NewVm) -> None:
        run = agreed(new_vm(), new_vm(), uri="qemu+unix:///system?socket=/run/nobody-listens")
        assert [entry["error"]["code"] for entry in run.vms] == ["libvirt_unavailable"] * 2

    def test_a_uri_that_no_driver_knows(self, new_vm: NewVm) -> None:
        run = agreed(new_vm(), uri="nothing:///like-it")
        assert run.error["code"] == "libvirt_unavailable"

    def test_a_uri_that_libvirt_cannot_be_given(self, new_vm: NewVm) -> None:
        run = start(new_vm(), uri="qemu:///sys\0tem")
        assert run.failed
        assert "uri: contains a null character" in run.result["msg"]
        assert "Traceback" not in run.output
