# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes in files that are created with their VM: full copies, linked clones, growth, undo, refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.new_file import partial_name
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import forked_task, media, module_run, predicted
from ansible_collections.zstack.kvm.tests.support.failing_start import UNKNOWN_TO_QEMU
from ansible_collections.zstack.kvm.tests.support.forked_task import Fault, begin
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, start
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.virsh import qmp, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

MIB = 1 << 20


def info(path: Path) -> dict[str, Any]:
    shown = subprocess.run(["qemu-img", "info", "-U", "--output=json", path], check=True, capture_output=True)
    return dict(json.loads(shown.stdout))


def left_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.fixture
def image(images: Path) -> Path:
    return media.write_qcow2(images / "image", "I am the image")


@pytest.fixture
def disk(images: Path) -> Path:
    return images / "disk"


def created(new_vm: NewVm, disk: Path, **create: Any) -> dict[str, Any]:
    """Return a VM whose volume is to be created."""
    options = {name: str(value) if isinstance(value, Path) else value for name, value in create.items()}
    return new_vm(root_volume={"install_path": str(disk), "create": options})


class TestCreated:
    @pytest.mark.parametrize("image_format", ["raw", "qcow2"])
    def test_a_full_copy_boots_and_has_the_size(
        self, new_vm: NewVm, image: Path, disk: Path, image_format: str
    ) -> None:
        vm = created(new_vm, disk, image=image, size="8MiB", format=image_format)
        run = agreed(vm)
        assert run.actions == ["create_volume", "define", "start"]
        wait_for_text(vm["uuid"], "I am the image")
        assert (info(disk)["format"], info(disk)["virtual-size"]) == (image_format, 8 * MIB)
        assert "backing-filename" not in info(disk)
        assert agreed(vm).actions == []

    def test_a_linked_clone_boots_and_states_the_format_of_its_image(
        self, new_vm: NewVm, image: Path, disk: Path
    ) -> None:
        link = image.with_name("link")
        link.symlink_to(image)
        vm = created(new_vm, disk, image=link, linked=True)
        assert agreed(vm).actions == ["create_volume", "define", "start"]
        wait_for_text(vm["uuid"], "I am the image")
        found = info(disk)
        assert (found["backing-filename"], found["backing-filename-format"]) == (str(image), "qcow2")
        assert found["virtual-size"] == info(image)["virtual-size"]
        assert agreed(vm).actions == []

    def test_an_empty_data_volume_is_plugged_into_a_running_vm(self, new_vm: NewVm, disk: Path) -> None:
        vm = new_vm()
        start(vm)
        vm["data_volumes"] = [{"install_path": str(disk), "create": {"size": "4MiB", "preallocation": "full"}}]
        assert agreed(vm, on_drift="live").actions == ["create_volume", "define", "attach_volume"]
        assert disk.stat().st_blocks * 512 >= 4 * MIB
        assert "4.000 MiB" in virsh("domblkinfo", vm["uuid"], "vdb", "--human")
        assert agreed(vm, on_drift="live").actions == []

    def test_a_clone_for_each_of_many_vms_side_by_side(self, new_vm: NewVm, image: Path, images: Path) -> None:
        vms = [created(new_vm, images / f"clone{number}", image=image, linked=True) for number in range(4)]
        run = forked_task.start(*vms, parallel=4)
        assert not run.failed, run.output
        assert [vm["actions"] for vm in run.vms] == [["create_volume", "define", "start"]] * 4

    def test_one_that_two_vms_share_is_created_once(self, new_vm: NewVm, disk: Path) -> None:
        volume = {"install_path": str(disk), "shareable": True, "create": {"size": "1MiB", "format": "raw"}}
        run = agreed(*(new_vm(data_volumes=[volume]) for _vm in range(2)))
        assert [vm["actions"].count("create_volume") for vm in run.vms] == [1, 0]


class TestGrown:
    def test_while_the_vm_runs_its_guest_sees_it(self, new_vm: NewVm, image: Path, disk: Path) -> None:
        vm = created(new_vm, disk, image=image)
        start(vm)
        vm["root_volume"]["create"]["size"] = "16MiB"
        run = agreed(vm)
        assert (run.actions, run.vm["restart_required"]) == (["grow_volume"], False)
        assert [(each["before"], each["after"]) for each in run.vm["differences"]] == [(str(MIB), str(16 * MIB))]
        sizes = [
            block["inserted"]["image"]["virtual-size"]
            for block in qmp(vm["uuid"], "query-block")
            if "inserted" in block
        ]
        assert sizes == [16 * MIB]
        assert agreed(vm).actions == []

    def test_before_a_vm_starts(self, new_vm: NewVm, image: Path, disk: Path) -> None:
        vm = created(new_vm, disk, image=image, linked=True)
        start(vm)
        virsh("destroy", vm["uuid"])
        vm["root_volume"]["create"]["size"] = "16MiB"
        assert agreed(vm).actions == ["grow_volume", "start"]
        assert info(disk)["virtual-size"] == 16 * MIB

    def test_the_overlay_of_a_snapshot_grows_and_not_the_image_below(
        self, new_vm: NewVm, image: Path, disk: Path
    ) -> None:
        vm = created(new_vm, disk, image=image)
        start(vm)
        virsh("snapshot-create-as", vm["uuid"], "s", "--disk-only", "--no-metadata")
        vm["root_volume"]["create"]["size"] = "16MiB"
        assert agreed(vm).actions == ["grow_volume"]
        assert info(disk)["virtual-size"] == MIB
        assert info(disk.with_name("disk.s"))["virtual-size"] == 16 * MIB
        assert agreed(vm).actions == []

    @pytest.mark.parametrize("on_drift", ["ignore", "fail"])
    def test_not_if_drift_is_to_be_left(self, new_vm: NewVm, image: Path, disk: Path, on_drift: str) -> None:
        vm = created(new_vm, disk, image=image)
        start(vm)
        vm["root_volume"]["create"]["size"] = "16MiB"
        run = start(vm, on_drift=on_drift)
        assert run.failed == (on_drift == "fail")
        assert info(disk)["virtual-size"] == MIB
        assert [each["path"] for each in run.vm["differences"]] == ["devices/disk[target=vda]/size"]


class TestLeftAlone:
    def test_what_is_larger_or_another_clone_is_reported(self, new_vm: NewVm, image: Path, disk: Path) -> None:
        vm = created(new_vm, disk, image=image, linked=True, size="8MiB")
        start(vm)
        other = media.write_qcow2(image.with_name("other"), "I am another image")
        vm["root_volume"]["create"] = {"image": str(other), "linked": True, "size": "2MiB"}
        run = agreed(vm)
        assert run.actions == []
        assert [each["path"] for each in run.vm["differences"]] == [
            "devices/disk[target=vda]/size",
            "devices/disk[target=vda]/image",
        ]
        assert ["never shrunk" in text or "left as it is" in text for text in run.vm["warnings"]] == [True, True]
        assert (info(disk)["virtual-size"], info(disk)["backing-filename"]) == (8 * MIB, str(image))

    def test_another_format_is_an_error(self, new_vm: NewVm, disk: Path) -> None:
        media.write_raw(disk, "I am raw")
        assert start(created(new_vm, disk, size="8MiB")).error["code"] == "image_format"

    def test_a_volume_that_a_defined_vm_has_lost_is_not_created_again(
        self, new_vm: NewVm, image: Path, disk: Path
    ) -> None:
        """This is what a storage looks like that isn't mounted."""
        vm = created(new_vm, disk, image=image)
        start(vm)
        virsh("destroy", vm["uuid"])
        disk.unlink()
        error = predicted.failed(start, vm).error
        assert (error["code"], "not created" in error["message"]) == ("image_missing", True)
        assert not disk.exists()


class TestFailedStart:
    def test_leaves_no_volume(self, new_vm: NewVm, image: Path, disk: Path, images: Path) -> None:
        vm = {**created(new_vm, disk, image=image), "domain_patches": [UNKNOWN_TO_QEMU]}
        before = left_in(images)
        run = start(vm)
        assert (run.error["code"], run.error["rollback"]) == ("qemu_failed", "done")
        assert state(vm["uuid"]) == "absent"
        assert left_in(images) == before

    def test_leaves_a_volume_that_existed(self, new_vm: NewVm, image: Path, disk: Path) -> None:
        vm = created(new_vm, disk, image=image)
        start(vm)
        virsh("destroy", vm["uuid"])
        virsh("undefine", vm["uuid"])
        assert start({**vm, "domain_patches": [UNKNOWN_TO_QEMU]}).failed
        assert disk.exists()


@pytest.fixture
def in_use(new_vm: NewVm) -> Iterator[tuple[str, str]]:
    """Yield the disks of a running VM and of one that is off."""
    on, off = new_vm(), new_vm()
    run = start(on, off)
    assert not run.failed, run.output
    virsh("destroy", off["uuid"])
    yield on["root_volume"]["install_path"], off["root_volume"]["install_path"]


class TestRefused:
    def test_what_the_image_cannot_be_used_for(
        self, new_vm: NewVm, image: Path, images: Path, in_use: tuple[str, str]
    ) -> None:
        hostile = images / "hostile"
        backing = ["-u", "-F", "raw", "-b", "/etc/passwd"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, hostile, "1M"], check=True)
        subprocess.run(["qemu-img", "convert", "-O", "vmdk", image, images / "vmdk"], check=True)
        raw = media.write_raw(images / "raw", "I am 2 MiB", size=2 * MIB)
        running, off = in_use
        link = images / "link"
        link.symlink_to(off)
        expected: list[tuple[dict[str, Any], str, str]] = [
            ({"image": raw, "size": "1MiB"}, "invalid_input", ".size: is 1048576 bytes, less than the 2097152 bytes"),
            ({"image": image, "image_format": "raw"}, "image_format", "has a qcow2 header, but image_format is raw"),
            ({"image": hostile}, "backing_file_outside", "/etc/passwd"),
            ({"image": images / "vmdk"}, "image_format", "is a vmdk image"),
            ({"image": running}, "image_locked", running),
            ({"image": off, "linked": True}, "volume_in_use", "is a disk of VM"),
            ({"image": link, "linked": True}, "volume_in_use", "is a disk of VM"),
        ]
        vms = [created(new_vm, images / f"new{index}", **create) for index, (create, _c, _t) in enumerate(expected)]
        run = predicted.failed(start, *vms)
        errors = [vm["error"] for vm in run.vms]
        assert [error["code"] for error in errors] == [code for _create, code, _text in expected]
        for error, (_create, _code, text) in zip(errors, expected):
            assert text in error["message"]
        assert {state(vm["uuid"]) for vm in vms} == {"absent"}
        assert not [name for name in left_in(images) if name.startswith("new")]

    def test_all_problems_at_once_each_with_its_path(self, new_vm: NewVm, images: Path, disk: Path) -> None:
        vm = created(new_vm, disk, image=images / "nothing")
        missing = str(images / "no" / "disk")
        vm["data_volumes"] = [{"install_path": missing, "create": {"size": "1MiB"}}]
        message = predicted.failed(start, vm).error["message"]
        assert "vms[0].root_volume.create.image: the image %s does not exist" % (images / "nothing") in message
        assert "vms[0].data_volumes[0].install_path: the directory %s does not exist" % (images / "no") in message
        assert state(vm["uuid"]) == "absent"


Wrapper = Callable[[str, str], AbstractContextManager[None]]


@pytest.fixture
def qemu_img(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wrapper:
    """Run a script before a command of qemu-img."""
    real, path = shutil.which("qemu-img"), os.environ["PATH"]

    @contextmanager
    def wrapped(command: str, script: str) -> Iterator[None]:
        program = tmp_path / "qemu-img"
        program.write_text(
            '#!/bin/sh\nreal=%s\nif [ "$1" = %s ]; then %s; fi\nexec "$real" "$@"\n' % (real, command, script)
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, path))
        yield
        monkeypatch.setenv("PATH", path)

    return wrapped


def ran(vm: dict[str, Any]) -> TaskRun:
    """Run the module in a process with this one's environment, and return the run."""
    with module_run.begin(vm) as process:
        output, _errors = process.communicate(timeout=240)
    return module_run.finished(process, output)


@pytest.fixture
def small(images: Path) -> Iterator[Path]:
    """Return the mount point of a file system of 4 MiB."""
    directory = images / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.fixture
def full_image(images: Path) -> Path:
    """Return an image whose copy needs 8 MiB."""
    image = images / "full"
    image.write_bytes(os.urandom(8 * MIB))
    return image


class TestNoSpace:
    def test_is_found_before(self, new_vm: NewVm, full_image: Path, small: Path) -> None:
        error = start(created(new_vm, small / "disk", image=full_image)).error
        assert (error["code"], error["phase"]) == ("disk_full", "preflight")
        assert left_in(small) == set()

    def test_is_found_for_all_volumes_together(self, new_vm: NewVm, small: Path) -> None:
        create = {"size": "2MiB", "preallocation": "falloc"}
        volumes = [{"install_path": str(small / name), "create": create} for name in ("a", "b")]
        run = start(new_vm(data_volumes=volumes))
        assert "vms[0].data_volumes[1].install_path: the file system of" in run.error["message"]
        assert left_in(small) == set()

    def test_in_the_middle_of_a_copy_leaves_nothing(
        self, new_vm: NewVm, full_image: Path, small: Path, qemu_img: Wrapper
    ) -> None:
        """Another process uses up the space after it was checked."""
        subprocess.run(["mount", "-o", "remount,size=12m", small], check=True)
        vm = created(new_vm, small / "disk", image=full_image)
        with qemu_img("convert", "head -c 8M /dev/zero >%s/else" % small):
            run = ran(vm)
        assert (run.error["code"], run.error["phase"]) == ("disk_full", "create_volume")
        assert left_in(small) == {"else"}
        assert state(vm["uuid"]) == "absent"


class TestKilled:
    """The next run completes what a killed task has begun, and leaves nothing else."""

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_while_the_volume_is_copied(
        self, new_vm: NewVm, image: Path, disk: Path, qemu_img: Wrapper, when: str
    ) -> None:
        vm = created(new_vm, disk, image=image)
        before = left_in(disk.parent)
        script = "%s; kill -9 $PPID; exit" % ("true" if when == "before" else '"$real" "$@"')
        with qemu_img("convert", script), module_run.begin(vm) as process:
            assert process.wait(30) == -signal.SIGKILL
        assert left_in(disk.parent) - before == {partial_name(disk.name)}
        assert state(vm["uuid"]) == "absent"
        assert start(vm).actions == ["create_volume", "define", "start"]
        assert left_in(disk.parent) == before | {"disk"}

    def test_while_it_is_grown(self, new_vm: NewVm, disk: Path, qemu_img: Wrapper) -> None:
        media.write_qcow2(disk, "I am the disk")
        vm = created(new_vm, disk, size="4MiB")
        for script, is_grown in (("true", False), ('"$real" "$@"', True)):
            with qemu_img("resize", script + "; kill -9 $PPID; exit"), module_run.begin(vm) as process:
                assert process.wait(30) == -signal.SIGKILL
            assert (info(disk)["virtual-size"] == 4 * MIB) == is_grown
        assert start(vm).actions == ["start"]
        assert info(disk)["virtual-size"] == 4 * MIB

    def test_at_each_call_of_libvirt(self, new_vm: NewVm, image: Path, disk: Path) -> None:
        vms = []
        # The calls before the fifth only look.
        for call in range(5, 30):
            vms.append(created(new_vm, disk.with_name(f"disk{call}"), image=image, linked=True))
            if not forked_task.start(vms[-1], fault=Fault("task", "before", call)).returncode:
                break
        assert 8 < call < 29
        again = start(*vms)
        assert not again.failed, again.output
        assert {state(vm["uuid"]) for vm in vms} == {"running"}
        assert [vm["actions"] for vm in start(*vms).vms] == [[]] * len(vms)
        assert not [name for name in left_in(disk.parent) if name.endswith(".partial")]

    def test_by_a_request_to_stop(self, new_vm: NewVm, image: Path, disk: Path, qemu_img: Wrapper) -> None:
        vm = created(new_vm, disk, image=image)
        before = left_in(disk.parent)
        with qemu_img("convert", "exec sleep 60"), module_run.begin(vm) as process:
            wait_until(lambda: left_in(disk.parent) != before, "the copy has begun")
            process.terminate()
            output, _errors = process.communicate(timeout=240)
        assert module_run.finished(process, output).error["code"] == "interrupted"
        assert left_in(disk.parent) == before


def test_two_tasks_copy_one_image_at_once_and_create_a_volume_that_both_need_once(
    new_vm: NewVm, image: Path, disk: Path
) -> None:
    shared = {"install_path": str(disk), "shareable": True, "create": {"image": str(image), "format": "raw"}}
    vms = [{**created(new_vm, disk.with_name(f"own{n}"), image=image), "data_volumes": [shared]} for n in range(2)]
    tasks = [begin(vm) for vm in vms]
    runs = [task.finished() for task in tasks]
    assert [run.failed for run in runs] == [False, False]
    assert sorted(run.actions.count("create_volume") for run in runs) == [1, 2]
