# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots and block jobs put overlays on the images of volumes: a VM keeps them, whatever else changes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media, module_run
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun, run_task
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, state, try_virsh, virsh

MIB = 1024**2


def snapshot(vm: dict[str, Any], name: str, *options: str) -> None:
    virsh("snapshot-create-as", vm["uuid"], name, "--disk-only", "--atomic", *options)


def image_of(vm: dict[str, Any], target: str = "vda", inactive: bool = True) -> str:
    disk = definition(vm["uuid"], inactive).find(f"devices/disk/target[@dev='{target}']/..")
    return str(disk.find("source").get("file"))


def base_of(vm: dict[str, Any]) -> str:
    return str(vm["root_volume"]["install_path"])


def overlay_of(vm: dict[str, Any], name: str) -> str:
    return str(Path(base_of(vm)).with_suffix("." + name))


def write_boot_sector(image: str, text: str) -> None:
    """Write a boot sector, as a guest may have done since the snapshot."""
    sector = Path(image + ".sector")
    sector.write_bytes(media.boot_sector(text))
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -s {sector} 0 512", image], check=True, capture_output=True)


def assert_in_sync(run: TaskRun, vm: dict[str, Any], image: str) -> None:
    assert (run.actions, run.vm["differences"], run.vm["warnings"]) == ([], [], []), run.output
    assert run.vm["overlays"] == [{"target": "vda", "image": image, "overlay_of": base_of(vm)}]


@pytest.fixture
def vm(new_vm: NewVm) -> dict[str, Any]:
    """Return a running VM."""
    vm = new_vm()
    start(vm)
    return vm


class TestSnapshotOfARunningVm:
    def test_the_vm_is_in_sync_and_boots_what_was_written_since(self, vm: dict[str, Any]) -> None:
        snapshot(vm, "s1")
        overlay = overlay_of(vm, "s1")
        assert_in_sync(agreed(vm), vm, overlay)
        assert_in_sync(start(vm, on_drift="restart"), vm, overlay)
        virsh("destroy", vm["uuid"])
        write_boot_sector(overlay, "written since")
        run = agreed(vm)
        assert run.actions == ["start"]
        wait_for_text(vm["uuid"], "written since")
        assert (image_of(vm), image_of(vm, inactive=False)) == (overlay, overlay)

    def test_a_chain_three_overlays_deep_stays_through_limits_redefinition_and_restart(
        self, new_vm: NewVm, images: Path
    ) -> None:
        disk = media.write_raw(images / "disk.raw", "I am the base")
        vm = new_vm(root_volume={"install_path": str(disk), "volume_uuid": "6a9c3b1e2f644d0b9a557a0d3c1f2b11"})
        start(vm)
        for name in ("s1", "s2", "s3"):
            snapshot(vm, name)
        assert_in_sync(start(vm), vm, overlay_of(vm, "s3"))
        vm["root_volume"]["qos"] = {"total_iops": 321}
        assert agreed(vm, on_drift="live").actions == ["define", "set_volume_qos"]
        limits = {each["qdev"]: each.get("inserted", {}).get("iops_rd") for each in qmp(vm["uuid"], "query-block")}
        assert limits["/machine/peripheral/virtio-disk0/virtio-backend"] == 321
        assert_in_sync(start(vm), vm, overlay_of(vm, "s3"))
        vm["timeout"] = 5
        assert agreed({**vm, "cpu_num": 2}, on_drift="restart").actions == ["define", "stop", "start"]
        assert (image_of(vm), image_of(vm, inactive=False)) == (overlay_of(vm, "s3"), overlay_of(vm, "s3"))
        assert_in_sync(start({**vm, "cpu_num": 2}), vm, overlay_of(vm, "s3"))

    def test_one_with_memory_is_kept_too(self, vm: dict[str, Any], images: Path) -> None:
        images.chmod(0o777)
        memory = f"file={images}/memory,snapshot=external"
        virsh("snapshot-create-as", vm["uuid"], "s1", "--memspec", memory, "--live")
        assert_in_sync(agreed(vm), vm, overlay_of(vm, "s1"))

    def test_one_inside_of_the_image_changes_nothing_also_when_the_vm_goes_back_to_it(self, vm: dict[str, Any]) -> None:
        virsh("snapshot-create-as", vm["uuid"], "s1", "--diskspec", "vda,snapshot=internal")
        assert agreed(vm).actions == []
        virsh("snapshot-revert", vm["uuid"], "s1", "--running")
        run = start(vm)
        assert (run.actions, run.vm["overlays"]) == ([], [])

    def test_a_definition_that_lags_behind_gets_the_overlay_that_runs(self, vm: dict[str, Any]) -> None:
        before = virsh("dumpxml", "--inactive", vm["uuid"])
        snapshot(vm, "s1")
        virsh("define", "/dev/stdin", stdin=before)
        assert image_of(vm) == base_of(vm)
        assert agreed(vm).actions == ["define"]
        assert image_of(vm) == overlay_of(vm, "s1")
        assert_in_sync(agreed(vm), vm, overlay_of(vm, "s1"))

    def test_a_volume_that_is_plugged_in_again_is_its_overlay(self, new_vm: NewVm, images: Path) -> None:
        data = media.write_qcow2(images / "data.qcow2", "data")
        vm = new_vm(data_volumes=[{"install_path": str(data)}])
        start(vm)
        snapshot(vm, "s1")
        before = virsh("dumpxml", "--inactive", vm["uuid"])
        virsh("destroy", vm["uuid"])
        virsh("detach-disk", vm["uuid"], "vdb", "--config")
        virsh("start", vm["uuid"])
        virsh("define", "/dev/stdin", stdin=before)
        assert agreed(vm, on_drift="live").actions == ["attach_volume"]
        assert image_of(vm, "vdb", inactive=False) == str(images / "data.s1")


class TestWhatLibvirtsXmlDoesNotName:
    def test_the_header_of_the_image_shows_a_snapshot_of_a_vm_that_is_off(self, vm: dict[str, Any]) -> None:
        virsh("destroy", vm["uuid"])
        for name in ("s1", "s2"):
            snapshot(vm, name)
        virsh("snapshot-delete", vm["uuid"], "s2", "--metadata")
        virsh("snapshot-delete", vm["uuid"], "s1", "--metadata")
        assert definition(vm["uuid"]).find("devices/disk/backingStore") is None
        run = agreed({**vm, "cpu_num": 2})
        assert run.actions == ["define", "start"]
        assert image_of(vm, inactive=False) == overlay_of(vm, "s2")
        assert_in_sync(start({**vm, "cpu_num": 2}), vm, overlay_of(vm, "s2"))

    def test_the_snapshot_shows_an_overlay_into_which_everything_was_pulled(self, vm: dict[str, Any]) -> None:
        snapshot(vm, "s1")
        virsh("blockpull", vm["uuid"], "vda", "--wait")
        assert_in_sync(agreed(vm), vm, overlay_of(vm, "s1"))
        virsh("destroy", vm["uuid"])
        assert agreed(vm).actions == ["start"]
        assert image_of(vm, inactive=False) == overlay_of(vm, "s1")

    def test_another_image_is_another_volume(self, vm: dict[str, Any], images: Path) -> None:
        virsh("destroy", vm["uuid"])
        other = media.write_qcow2(images / "other.qcow2", "I am another")
        assert agreed({**vm, "root_volume": {"install_path": str(other)}}).actions == ["define", "start"]
        wait_for_text(vm["uuid"], "I am another")


class TestBlockJobs:
    def test_a_disk_that_is_copied_is_in_sync_and_not_touched(self, vm: dict[str, Any], images: Path) -> None:
        images.chmod(0o777)
        copy = images / "copy.qcow2"
        virsh("blockcopy", vm["uuid"], "vda", str(copy), "--format", "qcow2", "--transient-job", "--wait")
        assert agreed(vm).actions == []
        limited = {**vm, "root_volume": {**vm["root_volume"], "qos": {"total_iops": 100}}}
        busy = failed(limited, on_drift="live")
        assert (busy.error["code"], busy.actions) == ("vm_busy", [])
        assert "vda is being copied" in busy.error["message"]
        restarted = start({**vm, "cpu_num": 2}, on_drift="restart")
        assert (restarted.error["code"], state(vm["uuid"])) == ("vm_busy", "running")
        assert start({**vm, "name": "renamed"}, on_drift="live").actions == ["define", "set_description"]
        moved = {**vm, "name": "renamed", "root_volume": {"install_path": str(copy)}}
        assert start(moved).actions == []
        virsh("blockjob", vm["uuid"], "vda", "--pivot")
        assert start(moved).actions == []
        (warning,) = agreed({**vm, "name": "renamed"}, on_drift="ignore").vm["warnings"]
        assert f"vda changes from {copy} to {vm['root_volume']['install_path']}" in warning
        assert f"set install_path to {copy}" in warning

    def test_an_overlay_that_is_committed_is_in_sync_before_and_after(self, vm: dict[str, Any]) -> None:
        snapshot(vm, "s1")
        virsh("blockcommit", vm["uuid"], "vda", "--active", "--wait")
        assert_in_sync(agreed(vm), vm, overlay_of(vm, "s1"))
        assert failed({**vm, "cpu_num": 2}, on_drift="restart").error["code"] == "vm_busy"
        virsh("blockjob", vm["uuid"], "vda", "--pivot")
        run = start(vm)
        assert (run.actions, run.vm["overlays"]) == ([], [])

    def test_a_disk_that_is_pulled_is_not_touched(self, new_vm: NewVm, images: Path) -> None:
        """libvirt's XML does not show this job."""
        disk = media.write_raw(images / "disk.raw", "I am large", 64 * MIB)
        with disk.open("r+b") as file:
            file.seek(MIB)
            file.write(b"x" * 62 * MIB)
        vm = new_vm(root_volume={"install_path": str(disk)})
        start(vm)
        snapshot(vm, "s1")
        virsh("blockpull", vm["uuid"], "vda", "1")
        assert failed({**vm, "cpu_num": 2}, on_drift="restart").error["code"] == "vm_busy"
        virsh("blockjob", vm["uuid"], "vda", "--abort")
        assert_in_sync(agreed(vm), vm, overlay_of(vm, "s1"))


class TestGoingBackToTheImage:
    def test_it_is_refused_while_the_vm_runs_on_the_overlay(self, vm: dict[str, Any]) -> None:
        snapshot(vm, "s1", "--no-metadata")
        for policy in ("next_boot", "restart"):
            run = start(vm, overlays="discard", on_drift=policy)
            assert (run.error["code"], run.actions) == ("overlay_in_use", [])
            assert "running on" in run.error["message"]
        assert image_of(vm) == overlay_of(vm, "s1")

    def test_it_is_refused_while_a_snapshot_has_made_one_of_the_overlays(self, vm: dict[str, Any]) -> None:
        snapshot(vm, "s1")
        snapshot(vm, "s2", "--no-metadata")
        virsh("destroy", vm["uuid"])
        run = failed(vm, overlays="discard")
        assert (run.error["code"], run.actions) == ("overlay_in_use", [])
        assert overlay_of(vm, "s1") in run.error["message"]
        assert image_of(vm) == overlay_of(vm, "s2")

    def test_on_request_the_vm_boots_from_the_image_and_the_overlay_stays(self, vm: dict[str, Any]) -> None:
        snapshot(vm, "s1", "--no-metadata")
        virsh("destroy", vm["uuid"])
        overlay = overlay_of(vm, "s1")
        write_boot_sector(overlay, "written since")
        assert agreed(vm, overlays="discard").actions == ["define", "start"]
        wait_for_text(vm["uuid"], f"I am {vm['uuid']}")
        assert image_of(vm, inactive=False) == base_of(vm)
        assert Path(overlay).exists()
        run = start(vm)
        assert (run.actions, run.vm["overlays"]) == ([], [])


class TestInformation:
    def test_a_disk_says_of_which_volume_it_is_an_overlay(self, vm: dict[str, Any]) -> None:
        for name in ("s1", "s2"):
            snapshot(vm, name)
        (entry,) = run_task("zstack.kvm.zstack_vm_info", {"vms": [vm]}).vms
        disk = entry["disks"][0]
        assert (disk["source"], disk["overlay_of"]) == (overlay_of(vm, "s2"), base_of(vm))
        assert disk["backing_chain"] == [overlay_of(vm, "s1"), base_of(vm)]
        assert (entry["in_sync"], entry["restart_required"]) == (True, False)


class TestMissingFilesOfAChain:
    @pytest.fixture
    def off(self, vm: dict[str, Any]) -> dict[str, Any]:
        """Return a VM that is off, on a chain of two overlays that libvirt's XML names only in part."""
        snapshot(vm, "s1")
        virsh("destroy", vm["uuid"])
        snapshot(vm, "s2")
        return vm

    @pytest.mark.parametrize(("missing", "referrer"), [("s1", "s2"), ("qcow2", "s1")])
    def test_the_link_and_what_refers_to_it_are_named_before_anything_is_done(
        self, off: dict[str, Any], missing: str, referrer: str
    ) -> None:
        Path(overlay_of(off, missing)).unlink()
        run = module_run.start({**off, "cpu_num": 2})
        assert (run.error["code"], run.error["phase"], run.actions) == ("image_missing", "preflight", [])
        link, above = overlay_of(off, missing), overlay_of(off, referrer)
        expected = f"the file {link}, the backing file of {above}, does not exist"
        assert run.error["message"] == f"vms[0].root_volume.install_path: {expected}"
        predicted = module_run.start(off, check=True)
        assert expected in " ".join(predicted.vm["warnings"])

    def test_so_is_an_overlay_that_is_missing_itself(self, off: dict[str, Any]) -> None:
        Path(overlay_of(off, "s2")).unlink()
        run = module_run.start(off)
        assert (run.error["code"], run.actions) == ("image_missing", [])
        assert overlay_of(off, "s2") in run.error["message"]

    def test_so_is_the_template_of_a_new_vm(self, new_vm: NewVm, images: Path) -> None:
        template, disk = images / "template.qcow2", images / "disk.qcow2"
        media.write_qcow2(template, "I am a template")
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "template.qcow2", str(disk)]
        subprocess.run(command, check=True)
        template.unlink()
        vm = new_vm(root_volume={"install_path": str(disk)})
        run = module_run.start(vm)
        assert (run.error["code"], run.actions) == ("image_missing", [])
        assert f"{template}, the backing file of {disk}, does not exist" in run.error["message"]
        assert try_virsh("dominfo", vm["uuid"]).returncode != 0
