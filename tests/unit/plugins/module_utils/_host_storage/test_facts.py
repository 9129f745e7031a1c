# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about disks that are read from the hypervisor before a domain is built: real files and a real qemu-img."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.facts import facts as storage_facts
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakeSecret, FakeSystem
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    IQN,
    cdrom,
    iscsi_volume,
    volume,
)
from lxml import etree


class Libvirt(FakeHypervisor):
    """A libvirt with two secrets and one file in a storage pool."""

    def __init__(self) -> None:
        super().__init__(secrets=[FakeSecret("the-secret", "iscsi", IQN), FakeSecret("other", "ceph", IQN)])

    def storage_volume_xml(self, path: str) -> str | None:
        return "<volume><target><format type='qcow2'/></target></volume>" if path == "/pool/file" else None


def facts(*volumes: Any, cds: Any = (), existing: str | None = None, system: Any = None) -> StorageFacts:
    domain = None if existing is None else etree.fromstring(existing)
    return storage_facts(
        SimpleNamespace(volumes=volumes, cds=cds, floppies=()), domain, system or HostSystem(), Libvirt()
    )


@pytest.fixture(params=["raw", "qcow2"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = tmp_path / "a file, named = so"
    subprocess.run(["qemu-img", "create", "-q", "-f", request.param, path, "1M"], check=True)
    return SimpleNamespace(path=str(path), format=request.param)


def defined(path: str, image_format: str) -> str:
    return '<domain><devices><disk><driver type="%s"/><source file="%s"/></disk></devices></domain>' % (
        image_format,
        path,
    )


BLOCK_DISK = "<domain><devices><disk><source dev='/srv/device'/></disk></devices></domain>"
FILE_DISK = "<domain><devices><disk><source file='/dev/vg/lv'/></disk></devices></domain>"


@pytest.mark.parametrize(
    ("path", "system", "existing", "is_block"),
    [
        # What exists at the path decides, whatever the path and the definition say.
        ("/srv/device", FakeSystem({"/srv/device": "block"}), None, True),
        ("/dev/vg/lv", FakeSystem({"/dev/vg/lv": "file"}), None, False),
        ("/dev/vg/lv", FakeSystem({"/dev/vg/lv": "block"}), FILE_DISK, True),
        ("/srv/device", FakeSystem({"/srv/device": "file"}), BLOCK_DISK, False),
        # A logical volume that isn't active yet, and a hypervisor that can't be looked at.
        *(
            each
            for unseen in (FakeSystem(), RemoteSystem("qemu+ssh://host/system"))
            for each in (
                ("/dev/vg/lv", unseen, None, True),
                ("/dev/disk/by-id/wwn-0x5000", unseen, None, True),
                ("/dev/shm/disk", unseen, None, False),
                ("/srv/device", unseen, None, False),
                ("/srv/device", unseen, BLOCK_DISK, True),
                ("/dev/vg/lv", unseen, FILE_DISK, False),
            )
        ),
    ],
)
def test_which_paths_are_block_devices(path: str, system: Any, existing: str | None, is_block: bool) -> None:
    found = facts(volume("file", path, format="raw"), existing=existing, system=system)
    assert found.block_devices == ({path} if is_block else set())
    assert facts(cds=[cdrom(path)], existing=existing, system=system).block_devices == found.block_devices


def test_a_definition_knows_the_formats_of_block_devices() -> None:
    existing = "<domain><devices><disk><driver type='raw'/><source dev='/dev/vg/lv'/></disk></devices></domain>"
    found = facts(volume("file", "/dev/vg/lv"), existing=existing, system=FakeSystem({"/dev/vg/lv": "block"}))
    assert (found.formats, found.problems) == ({"/dev/vg/lv": "raw"}, ())


def test_a_file_is_read_if_its_format_is_unknown(image: Any) -> None:
    assert facts(volume("file", image.path)).formats == {image.path: image.format}


def test_a_format_in_the_definition_is_used_without_reading_the_file(
    image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = facts(volume("file", image.path), existing=defined(image.path, image.format))
    assert (found.formats, found.problems) == ({image.path: image.format}, ())


def test_a_file_that_claims_another_format_than_the_definition_is_a_problem(image: Any) -> None:
    other = {"raw": "qcow2", "qcow2": "raw"}[image.format]
    (problem,) = facts(volume("file", image.path), existing=defined(image.path, other)).problems
    assert (problem.code, problem.option_path) == ("image_format", "vms[0].data_volumes[0].install_path")


def test_a_missing_file_is_left_to_the_preflight(tmp_path: Path) -> None:
    found = facts(volume("file", str(tmp_path / "none")))
    assert (found.formats, found.problems) == ({}, ())


def test_the_secret_of_a_target_is_looked_up_where_chap_is_used() -> None:
    chap = iscsi_volume(chap_username="zs", chap_password="x")
    assert facts(chap).chap_secrets == {IQN: "the-secret"}
    assert facts(iscsi_volume()).chap_secrets == {}


def test_with_a_remote_uri_the_storage_pools_are_queried() -> None:
    remote = RemoteSystem("qemu+ssh://host/system")
    assert facts(volume("file", "/pool/file"), system=remote).formats == {"/pool/file": "qcow2"}
    (problem,) = facts(volume("file", "/other"), system=remote).problems
    assert problem.code == "needs_hypervisor"
    assert facts(volume("file", "/other", format="raw"), system=remote).problems == ()


def leads_to(image: Path, backing: Path) -> str:
    """Create a qcow2 image with a backing file, whose existence qemu-img doesn't check."""
    command = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", backing, image, "1M"]
    subprocess.run(command, check=True)
    return str(image)


def test_an_image_that_refers_outside_of_its_storage_is_a_problem_until_its_format_is_set(tmp_path: Path) -> None:
    image = leads_to(tmp_path / "image", Path("/etc/passwd"))
    (problem,) = facts(volume("file", image)).problems
    assert (problem.code, problem.option_path) == ("backing_file_outside", "vms[0].data_volumes[0].install_path")
    assert "/etc/passwd" in problem.message
    assert facts(volume("file", image, format="qcow2")).problems == ()
    assert facts(volume("file", image), existing=defined(image, "qcow2")).problems == ()


def test_an_image_whose_backing_file_refers_outside_is_a_problem(tmp_path: Path) -> None:
    leads_to(tmp_path / "base", Path("/etc/passwd"))
    (problem,) = facts(volume("file", leads_to(tmp_path / "image", tmp_path / "base"))).problems
    assert problem.code == "backing_file_outside"
    assert f"{tmp_path}/base, which {tmp_path}/image leads to" in problem.message


def test_a_backing_file_in_the_same_storage_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(bytes(4096))
    image = leads_to(tmp_path / "image", tmp_path / "base")
    assert facts(volume("file", image)) == StorageFacts({image: "qcow2"}, {}, frozenset(), ())


@pytest.mark.parametrize(
    "info",
    [
        {"format": "qcow2", "backing-filename": "/etc/passwd"},
        {"format": "qcow2", "format-specific": {"data": {"data-file": "/etc/passwd"}}},
    ],
)
def test_an_export_with_any_backing_file_is_a_problem(info: dict[str, Any]) -> None:
    class System(FakeSystem):
        def image_info(self, target: str) -> dict[str, Any]:
            return info

    (problem,) = facts(volume("fusionstor", "fusionstor://pool/image"), system=System()).problems
    assert problem.code == "backing_file_outside"


def test_libvirt_reports_the_backing_file_of_a_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    xml = (
        "<volume><target><format type='qcow2'/></target><backingStore><path>/etc/passwd</path></backingStore></volume>"
    )
    monkeypatch.setattr(Libvirt, "storage_volume_xml", lambda _libvirt, _path: xml)
    (problem,) = facts(volume("file", "/pool/file"), system=RemoteSystem("qemu+ssh://host/system")).problems
    assert problem.code == "backing_file_outside"


def test_a_luks_volume_may_be_encrypted_but_not_its_backing_file_too(tmp_path: Path) -> None:
    base, overlay = tmp_path / "base", tmp_path / "overlay"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, overlay], check=True)
    luks = {"format": "qcow2", "luks_secret_uuid": "c0a8012e-6f0e-4f1b-8a50-1f3f0d7d6a02"}
    with base.open("r+b") as image:
        image.seek(32)
        image.write((2).to_bytes(4, "big"))  # LUKS

    assert facts(volume("file", str(base), **luks)).problems == ()
    (problem,) = facts(volume("file", str(overlay), **luks)).problems
    assert f"{overlay} has the backing file {base}, which is encrypted too" in str(problem)
