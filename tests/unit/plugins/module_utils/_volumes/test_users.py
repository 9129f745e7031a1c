# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that have an image as their backing file, and where they are searched for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backing_files
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.users import ImageUsers
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeDomain, FakeHypervisor

DISK = "<disk type='file'><driver type='%s'/><source file='%s'/><target dev='vda'/></disk>"


@pytest.fixture
def storages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory whose subdirectories are storages, as in /srv."""
    monkeypatch.setattr(backing_files, "_SHARED", backing_files._SHARED | {str(tmp_path)})
    return tmp_path


def qcow2(path: Path, backing: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ["-u", "-F", "qcow2", "-b", backing] if backing else []
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, "1M"], check=True)
    return path


def users(*domains: FakeDomain) -> ImageUsers:
    hypervisor: Any = FakeHypervisor({str(number): domain for number, domain in enumerate(domains)})
    return ImageUsers(hypervisor, HostSystem())


class TestCloneOf:
    def test_none(self, storages: Path) -> None:
        image = qcow2(storages / "ps/cache/image")
        qcow2(storages / "ps/volumes/other")
        (storages / "ps/volumes/raw").write_bytes(b"QFI\xfb" + bytes(100))
        (storages / "ps/volumes/short").write_bytes(b"QFI\xfb")
        assert users().clone_of(str(image)) is None

    @pytest.mark.parametrize("name", ["ps/cache/clone", "ps/clone", "ps/volumes/account/volume/clone"])
    def test_anywhere_in_its_storage(self, storages: Path, name: str) -> None:
        image = qcow2(storages / "ps/cache/image")
        clone = qcow2(storages / name, str(image))
        assert users().clone_of(str(image)) == str(clone)

    def test_by_a_relative_path_and_through_a_link(self, storages: Path) -> None:
        image = qcow2(storages / "ps/cache/image")
        (storages / "ps/link").symlink_to("cache")
        clone = qcow2(storages / "ps/volumes/clone", "../link/image")
        assert users().clone_of(str(storages / "ps/link/image")) == str(clone)
        assert users().clone_of(str(image)) == str(clone)

    @pytest.mark.parametrize("state", ["running", "shutoff"])
    def test_in_the_storage_of_the_disk_of_any_domain(self, storages: Path, state: str) -> None:
        image = qcow2(storages / "ps/image")
        disk = qcow2(storages / "other/volumes/disk")
        clone = qcow2(storages / "other/templates/clone", str(image))
        xml = DISK % ("qcow2", disk)
        assert users(FakeDomain(state=state, defined=xml, running=xml)).clone_of(str(image)) == str(clone)

    def test_of_an_image_in_ceph(self, storages: Path) -> None:
        disk = qcow2(storages / "ps/disk")
        clone = qcow2(storages / "ps/clone", "rbd:pool/image:id=zstack")
        domain = FakeDomain(state="shutoff", defined=DISK % ("qcow2", disk))
        assert users(domain).clone_of("rbd:pool/image") == str(clone)
        assert users(domain).clone_of("rbd:pool/other") is None

    def test_not_in_another_storage(self, storages: Path) -> None:
        image = qcow2(storages / "ps/image")
        qcow2(storages / "other/clone", str(image))
        assert users().clone_of(str(image)) is None

    def test_an_image_in_a_directory_of_the_system_has_that_directory_as_its_storage(self, storages: Path) -> None:
        image = qcow2(storages / "image")
        qcow2(storages / "other/clone", str(image))
        assert users().clone_of(str(image)) is None
        clone = qcow2(storages / "zclone", str(image))
        assert users().clone_of(str(image)) == str(clone)

    def test_directories_behind_links_are_not_searched(self, storages: Path) -> None:
        image = qcow2(storages / "ps/image")
        qcow2(storages / "other/clone", str(image))
        (storages / "ps/link").symlink_to(storages / "other")
        assert users().clone_of(str(image)) is None

    def test_an_image_that_cannot_be_read_may_be_one(self, storages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        image = qcow2(storages / "ps/image")
        clone = qcow2(storages / "ps/clone", str(image))
        system = HostSystem()
        read_head = system.files.read_head

        def read_all_but_the_clone(path: str, size: int) -> Any:
            if path == str(clone):
                raise VmError("path_unreadable", "cannot read %s" % path)
            return read_head(path, size)

        monkeypatch.setattr(system.files, "read_head", read_all_but_the_clone)
        hypervisor: Any = FakeHypervisor({})
        with pytest.raises(VmError, match="cannot read .*/ps/clone"):
            ImageUsers(hypervisor, system).clone_of(str(image))


class TestChains:
    def test_that_can_be_read_are_fine(self, storages: Path) -> None:
        disk = qcow2(storages / "ps/disk", str(qcow2(storages / "ps/image")))
        users(FakeDomain(state="shutoff", defined=DISK % ("qcow2", disk))).check_chains()

    def test_with_an_image_that_cannot_be_read_are_not(self, storages: Path) -> None:
        # A directory cannot be read, not even by root.
        (storages / "ps/below").mkdir(parents=True)
        disk = qcow2(storages / "ps/disk", str(storages / "ps/below"))
        found = users(FakeDomain(state="shutoff", defined=DISK % ("qcow2", disk)))
        with pytest.raises(VmError, match="the images of .* are not known: cannot read .*/ps/below") as raised:
            found.check_chains()
        assert raised.value.code == "path_unreadable"


class TestWriterOf:
    def test_an_image_by_another_name(self, storages: Path) -> None:
        image = qcow2(storages / "ps/image")
        (storages / "ps/link").symlink_to("image")
        found = users(FakeDomain(state="shutoff", defined=DISK % ("qcow2", storages / "ps/link")))
        assert found.writer_of(str(image)) is not None

    @pytest.mark.parametrize("disk", [DISK.replace("</disk>", "<readonly/></disk>"), DISK])
    def test_none_of_an_image_that_is_read(self, storages: Path, disk: str) -> None:
        image = qcow2(storages / "ps/image")
        clone = image if "readonly" in disk else qcow2(storages / "ps/clone", str(image))
        found = users(FakeDomain(state="shutoff", defined=disk % ("qcow2", clone)))
        assert found.writer_of(str(image)) is None


def test_a_domain_has_the_disks_with_which_its_memory_was_saved(storages: Path) -> None:
    disk = qcow2(storages / "ps/disk")
    domain = FakeDomain(state="shutoff", saved=True, saved_devices=DISK % ("qcow2", disk))
    assert users(domain).domain_of(str(disk)) is not None
    assert users(domain).open_disk(str(disk)) is None
