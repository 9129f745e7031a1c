# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the header of an image may refer to if nobody has set its format."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage.backing_files import (
    OutsideError,
    backing_path,
    holds_several_storages,
    storage_root,
)

IMAGE = "/zstack_ps/rootVolumes/vol/image"
LINKS = {"/zstack_ps/link": "/etc"}


def head(name: bytes, version: int = 3, features: int = 0, size: int | None = None) -> bytes:
    fixed = struct.pack(">4sIQI", b"QFI\xfb", version, 104, len(name) if size is None else size).ljust(72, b"\0")
    return (fixed + struct.pack(">Q", features)).ljust(104, b"\0") + name


def path_of(name: bytes, image: str = IMAGE) -> str | None:
    return backing_path(image, head(name), lambda path: LINKS.get(path, path))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"/zstack_ps/imagecache/template/base", "/zstack_ps/imagecache/template/base"),
        (b"file:/zstack_ps/base", "/zstack_ps/base"),
        (b"base", "/zstack_ps/rootVolumes/vol/base"),
        (b"../../base:1", "/zstack_ps/base:1"),
    ],
)
def test_to_a_file_of_the_same_storage(name: bytes, path: str) -> None:
    assert path_of(name) == path


def test_to_a_logical_volume_of_the_same_group() -> None:
    assert path_of(b"/dev/vg/base", "/dev/vg/lv") == "/dev/vg/base"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (IMAGE, b"/etc/passwd"),
        (IMAGE, b"../../../etc/passwd"),
        (IMAGE, b"file:/etc/passwd"),
        (IMAGE, b"/zstack_ps/link"),
        (IMAGE, b"//etc/passwd"),
        (IMAGE, b"/dev/fdset/1"),
        (IMAGE, b"http://10.0.0.1/x"),
        (IMAGE, b"nbd:unix:/run/socket"),
        (IMAGE, b'json:{"driver":"qcow2","file":"/zstack_ps/a","backing":"/etc/passwd"}'),
        (IMAGE, b"/zstack_ps/\0/etc"),
        ("/var/lib/libvirt/images/image", b"/var/lib/libvirt/qemu/nvram/vm_VARS.fd"),
        ("/dev/vg/lv", b"/dev/sda"),
        ("/dev/mapper/vg-lv", b"/dev/mapper/vg-root"),
    ],
)
def test_to_nothing_else(image: str, name: bytes) -> None:
    with pytest.raises(OutsideError):
        path_of(name, image)


def test_to_no_data_file() -> None:
    with pytest.raises(OutsideError, match="data file"):
        backing_path(IMAGE, head(b"", features=4), str)


def test_to_no_name_that_was_not_read() -> None:
    with pytest.raises(OutsideError, match="near the beginning"):
        backing_path(IMAGE, head(b"base", size=1000), str)


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", bytes(512), head(b""), head(b"", version=2, features=4)])
def test_nowhere(content: bytes) -> None:
    assert backing_path(IMAGE, content, str) is None


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/zstack_ps/rootVolumes/acct/vol/image", "/zstack_ps"),
        ("/zstack_ps/image", "/zstack_ps"),
        ("/var/lib/libvirt/images/cache/image", "/var/lib/libvirt/images"),
        ("/srv/vms/a/image", "/srv/vms"),
        ("/srv/image", "/srv"),
        ("/image", "/"),
    ],
)
def test_the_root_of_a_storage(path: str, root: str) -> None:
    assert storage_root(path) == root
    assert holds_several_storages(root) == (root in ("/", "/srv"))
