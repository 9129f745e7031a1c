# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_volume: many volumes in one task, growth of a running VM's volume, removal of unused volumes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.forked_task import run_module
from ansible_collections.zstack.kvm.tests.support.in_process import run_volumes, start
from ansible_collections.zstack.kvm.tests.support.virsh import virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

MIB = 1 << 20


def agreed(*volumes: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Return the entries of a run that check mode has predicted."""
    predicted, real = run_volumes(*volumes, check=True, **options), run_volumes(*volumes, **options)
    assert not real.failed, real.result
    assert [each["actions"] for each in predicted.result["volumes"]] == [
        each["actions"] for each in real.result["volumes"]
    ]
    return list(real.result["volumes"])


def error_of(*volumes: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the error of the first volume."""
    run = run_volumes(*volumes, **options)
    assert run.failed, run.result
    return dict(run.result["volumes"][0]["error"])


@pytest.fixture
def image(images: Path) -> Path:
    return media.write_qcow2(images / "image", "I am the image")


def test_many_volumes_are_created_and_grown_and_then_nothing_changes(images: Path, image: Path) -> None:
    clone = {"image": str(image), "linked": True}
    volumes = [{"install_path": str(images / f"clone{number}"), "create": dict(clone)} for number in range(20)]
    empty = {"install_path": str(images / "empty"), "create": {"size": "4MiB", "format": "raw"}}
    created = agreed(*volumes, empty)
    assert {tuple(each["actions"]) for each in created} == {("create_volume",)}
    assert (created[0]["image"], created[0]["size"], created[-1]["format"]) == (str(image), MIB, "raw")
    empty["create"]["size"] = "8MiB"
    grown = agreed(*volumes, empty)
    assert [each["actions"] for each in grown] == [[]] * 20 + [["grow_volume"]]
    assert grown[-1]["size"] == (images / "empty").stat().st_size == 8 * MIB
    again = run_module("zstack_volume", {"volumes": [*volumes, empty]})
    assert (again.failed, again.result["changed"]) == (False, False)


def test_the_volume_of_a_running_vm_is_grown_online(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    (entry,) = agreed({"install_path": vm["root_volume"]["install_path"], "create": {"size": "8MiB"}})
    assert entry["actions"] == ["grow_volume"]
    assert "8.000 MiB" in virsh("domblkinfo", vm["uuid"], "vda", "--human")


def test_a_volume_without_create_is_only_examined(images: Path, image: Path) -> None:
    found, missing = agreed({"install_path": str(image)}, {"install_path": str(images / "nothing")})
    assert (found["format"], found["size"], found["exists"]) == ("qcow2", MIB, True)
    assert (missing["format"], missing["exists"], missing["actions"]) == (None, False, [])


def test_no_linked_clone_is_created_of_a_disk_to_which_a_guest_writes(new_vm: NewVm, images: Path) -> None:
    vm = new_vm()
    start(vm)
    virsh("destroy", vm["uuid"])
    link, clone = images / "link", images / "clone"
    link.symlink_to(vm["root_volume"]["install_path"])
    for image in (link, vm["root_volume"]["install_path"]):
        error = error_of({"install_path": str(clone), "create": {"image": str(image), "linked": True}})
        assert (error["code"], vm["uuid"] in error["message"]) == ("volume_in_use", True)
        assert not clone.exists()


def test_with_a_problem_nothing_is_created(images: Path) -> None:
    good = {"install_path": str(images / "good"), "create": {"size": "1MiB"}}
    bad = {"install_path": str(images / "bad"), "create": {"image": "/nothing"}}
    run = run_module("zstack_volume", {"volumes": [bad, good]})
    assert (run.failed, run.result["volumes"][0]["error"]["code"]) == (True, "image_missing")
    assert not (images / "good").exists()


class TestAbsent:
    def test_what_nothing_uses_is_removed(self, image: Path) -> None:
        (entry,) = agreed({"install_path": str(image)}, state="absent")
        assert (entry["actions"], entry["exists"]) == (["remove_volume"], False)
        assert not image.exists()
        assert not run_volumes({"install_path": str(image)}, state="absent").result["changed"]

    def test_the_volume_of_a_vm_and_the_images_below_it_stay(self, new_vm: NewVm, images: Path, image: Path) -> None:
        disk = images / "disk"
        vm = new_vm(root_volume={"install_path": str(disk), "create": {"image": str(image), "linked": True}})
        start(vm)
        for is_running in (True, False):
            for path in (disk, image):
                error = error_of({"install_path": str(path)}, state="absent")
                assert (error["code"], vm["uuid"] in error["message"]) == ("volume_in_use", True)
                assert path.exists()
            if is_running:
                virsh("destroy", vm["uuid"])

    def test_the_image_of_a_clone_without_a_vm_in_another_directory_stays(self, images: Path, image: Path) -> None:
        clone = images / "volumes" / "clone"
        clone.parent.mkdir()
        agreed({"install_path": str(clone), "create": {"image": str(image), "linked": True}})
        error = error_of({"install_path": str(image)}, state="absent")
        assert (error["code"], str(clone) in error["message"]) == ("volume_in_use", True)
        assert image.exists()

    def test_what_another_process_writes_to_stays(self, images: Path, image: Path) -> None:
        socket = images / "socket"
        server = subprocess.Popen(["qemu-nbd", "-k", socket, "-f", "qcow2", image])
        try:
            wait_until(lambda: socket.exists() or server.poll() is not None, "the server listens or has ended")
            assert error_of({"install_path": str(image)}, state="absent")["code"] == "image_locked"
            assert image.exists()
        finally:
            server.kill()
            server.wait()

    def test_a_directory_is_no_volume(self, images: Path) -> None:
        assert error_of({"install_path": str(images)}, state="absent")["code"] == "path_taken"
