# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats that are read: from real files with a real qemu-img, and from libvirt where files cannot be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.image_format import (
    check_encryption,
    format_of_file,
    format_of_fusionstor_image,
)
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, FakeSystem
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host_storage.images import (
    make_image,
    mark_as_encrypted,
)
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import volume

REMOTE = RemoteSystem("qemu+ssh://host/system")
IN_POOL = "<target><format type='qcow2'/></target>"
LUKS = {"format": "qcow2", "luks_secret_uuid": "c0a8012e-6f0e-4f1b-8a50-1f3f0d7d6a02"}


class Libvirt(FakeHypervisor):
    """A libvirt with one file in a storage pool."""

    def __init__(self, described: str = IN_POOL) -> None:
        super().__init__()
        self.described = described

    def storage_volume_xml(self, path: str) -> str | None:
        return "<volume>%s</volume>" % self.described if path == "/pool/file" else None


def read(path: Path, system: Any = None, libvirt: Libvirt | None = None) -> str | None:
    return format_of_file(volume("file", str(path)), system or HostSystem(), libvirt or Libvirt())


def refused(path: Path, **hypervisor: Any) -> VmError:
    with pytest.raises(VmError) as caught:
        read(path, **hypervisor)
    return caught.value


def test_with_a_remote_uri_the_storage_pools_are_queried() -> None:
    assert read(Path("/pool/file"), REMOTE) == "qcow2"
    assert refused(Path("/other"), system=REMOTE).code == "needs_hypervisor"


def test_libvirt_reports_the_backing_file_of_a_volume() -> None:
    libvirt = Libvirt(IN_POOL + "<backingStore><path>/etc/passwd</path></backingStore>")
    assert refused(Path("/pool/file"), system=REMOTE, libvirt=libvirt).code == "backing_file_outside"


def test_an_image_must_not_refer_outside_of_its_storage(tmp_path: Path) -> None:
    error = refused(make_image(tmp_path / "image", backing="/etc/passwd"))
    assert error.code == "backing_file_outside" and "/etc/passwd" in error.message


def test_nor_must_its_backing_file(tmp_path: Path) -> None:
    make_image(tmp_path / "base", backing="/etc/passwd")
    error = refused(make_image(tmp_path / "image", backing=str(tmp_path / "base")))
    assert error.code == "backing_file_outside"
    assert f"{tmp_path}/base, which {tmp_path}/image leads to" in error.message


def test_a_backing_file_in_the_same_storage_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(bytes(4096))
    assert read(make_image(tmp_path / "image", backing=str(tmp_path / "base"))) == "qcow2"


@pytest.mark.parametrize(
    "info",
    [
        {"format": "qcow2", "backing-filename": "/etc/passwd"},
        {"format": "qcow2", "format-specific": {"data": {"data-file": "/etc/passwd"}}},
    ],
)
def test_an_export_must_not_have_any_backing_file(info: dict[str, Any]) -> None:
    class System(FakeSystem):
        def image_info(self, target: str) -> dict[str, Any]:
            return info

    with pytest.raises(VmError) as caught:
        format_of_fusionstor_image(volume("fusionstor", "fusionstor://pool/image"), System())
    assert caught.value.code == "backing_file_outside"


def test_a_luks_volume_may_be_encrypted_but_not_its_backing_file_too(tmp_path: Path) -> None:
    base = make_image(tmp_path / "base")
    overlay = make_image(tmp_path / "overlay", backing=str(base))
    mark_as_encrypted(base)
    check_encryption(volume("file", str(base), **LUKS), HostSystem())
    with pytest.raises(VmError) as caught:
        check_encryption(volume("file", str(overlay), **LUKS), HostSystem())
    assert f"{overlay} has the backing file {base}, which is encrypted too" in caught.value.message
