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
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host_storage.images import (
    make_image,
    mark_as_encrypted,
)
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import (
    IQN,
    cdrom,
    iscsi_volume,
    volume,
)
from lxml import etree


class Libvirt(FakeHypervisor):
    """A libvirt with two secrets."""

    def __init__(self) -> None:
        super().__init__(secrets=[FakeSecret("the-secret", "iscsi", IQN), FakeSecret("other", "ceph", IQN)])


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


@pytest.mark.parametrize(("image_format", "problems"), [("raw", ["image_format"]), ("qcow2", [])])
def test_create_does_not_make_a_raw_disk_qcow2_because_its_guest_has_written_a_header(
    tmp_path: Path, image_format: str, problems: list[str]
) -> None:
    image = str(make_image(tmp_path / "image", backing="/etc/passwd"))
    created = volume("file", image, format="qcow2", create=object())
    found = facts(created, existing=defined(image, image_format)).problems
    assert [problem.code for problem in found] == problems


def test_a_missing_file_is_left_to_the_preflight(tmp_path: Path) -> None:
    found = facts(volume("file", str(tmp_path / "none")))
    assert (found.formats, found.problems) == ({}, ())


def test_the_secret_of_a_target_is_looked_up_where_chap_is_used() -> None:
    chap = iscsi_volume(chap_username="zs", chap_password="x")
    assert facts(chap).chap_secrets == {IQN: "the-secret"}
    assert facts(iscsi_volume()).chap_secrets == {}


def test_an_image_that_refers_outside_of_its_storage_is_a_problem_until_its_format_is_set(tmp_path: Path) -> None:
    image = str(make_image(tmp_path / "image", backing="/etc/passwd"))
    (problem,) = facts(volume("file", image)).problems
    assert (problem.code, problem.option_path) == ("backing_file_outside", "vms[0].data_volumes[0].install_path")
    assert facts(volume("file", image, format="qcow2")).problems == ()
    assert facts(volume("file", image), existing=defined(image, "qcow2")).problems == ()


def test_a_format_that_cannot_be_read_is_a_problem_until_it_is_set() -> None:
    remote = RemoteSystem("qemu+ssh://host/system")
    (problem,) = facts(volume("file", "/other"), system=remote).problems
    assert problem.code == "needs_hypervisor"
    assert facts(volume("file", "/other", format="raw"), system=remote).problems == ()


def test_an_overlay_of_an_encrypted_image_is_a_problem_of_a_luks_volume_that_is_new(tmp_path: Path) -> None:
    mark_as_encrypted(make_image(tmp_path / "base"))
    overlay = make_image(tmp_path / "overlay", backing=str(tmp_path / "base"))
    luks = volume("file", str(overlay), format="qcow2", luks_secret_uuid="c0a8012e-6f0e-4f1b-8a50-1f3f0d7d6a02")
    (problem,) = facts(luks).problems
    assert problem.code == "image_format"
    assert facts(luks, existing=defined(str(overlay), "qcow2")).problems == ()
