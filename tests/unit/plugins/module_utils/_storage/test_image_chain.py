# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images below another one, from qcow2 headers, libvirt's XML and its snapshots."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage.image_chain import (
    HEAD_BYTES,
    Link,
    backing_of,
    chain_of,
    is_copied_to,
    mirror_images,
    snapshot_overlays,
)
from lxml import etree

RUNNING_DISK = etree.fromstring(
    """
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2'/>
  <source file='/i/s2' index='7'/>
  <backingStore type='file' index='4'>
    <format type='qcow2'/>
    <source file='/i/s1'/>
    <backingStore type='network' index='3'>
      <format type='raw'/>
      <source protocol='rbd' name='pool/vol'/>
      <backingStore/>
    </backingStore>
  </backingStore>
  <mirror type='file' job='copy'>
    <format type='qcow2'/>
    <source file='/i/copy'/>
    <backingStore type='file'><format type='qcow2'/><source file='/i/below-copy'/></backingStore>
  </mirror>
  <target dev='vda' bus='virtio'/>
</disk>"""
)


def head(name: str, backing_format: Optional[str] = None, version: int = 3) -> bytes:
    """Return the head of a qcow2 image with a backing file of this name."""
    extension = b""
    if backing_format is not None:
        text = backing_format.encode()
        extension = struct.pack(">II", 0xE2792ACA, len(text)) + text.ljust((len(text) + 7) & ~7, b"\0")
    length = 104 if version == 3 else 72
    offset = length + len(extension) + 8
    fixed = struct.pack(">4sIQI", b"QFI\xfb", version, offset, len(name.encode())).ljust(length, b"\0")
    if version == 3:
        fixed = fixed[:100] + struct.pack(">I", length)
    return fixed + extension + bytes(8) + name.encode()


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_the_header_that_qemu_writes_is_read(tmp_path: Path, compat: str) -> None:
    base, overlay = tmp_path / "base é", tmp_path / "overlay"
    base.write_bytes(bytes(4096))
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"compat={compat}", "-F", "raw", "-b", base, overlay]
    subprocess.run(command, check=True)
    assert backing_of(str(overlay), overlay.read_bytes()[:HEAD_BYTES]) == Link(str(base), "raw")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("/i/base", "/i/base"),
        ("base", "/dir/base"),
        ("../base", "/base"),
        ("file:/i/base", "/i/base"),
        ("rbd:pool/vol", "rbd:pool/vol"),
        ("rbd:pool/v\\:ol:id=zstack:mon_host=h\\:6789", "rbd:pool/v:ol"),
        ("nbd:unix:/run/socket:exportname=pool/vol", "nbd:pool/vol"),
        ("nbd+unix:///pool/v%20ol?socket=/run/socket", "nbd:pool/v ol"),
        ("iscsi://10.0.0.1:3260/iqn.2020-01.x:y/3", "iscsi:iqn.2020-01.x:y/3"),
        ("http://server/base", None),
        ("json:{", None),
        ("json:[]", None),
        ("json:" + "[" * 50_000, None),
    ],
)
def test_names_of_backing_files(name: str, image: Optional[str]) -> None:
    found = backing_of("/dir/overlay", head(name))
    assert (None if found is None else found.image) == image


@pytest.mark.parametrize(
    ("description", "image"),
    [
        ({"file": {"driver": "rbd", "pool": "pool", "image": "vol"}}, "rbd:pool/vol"),
        ({"driver": "raw", "file": {"driver": "nbd", "export": "pool/vol"}}, "nbd:pool/vol"),
        ({"file.driver": "nbd", "file.export": "pool/vol"}, "nbd:pool/vol"),
        ({"driver": "iscsi", "target": "iqn.x", "lun": 3}, "iscsi:iqn.x/3"),
        ({"driver": "qcow2", "file": {"driver": "file", "filename": "/i/base"}}, "/i/base"),
    ],
)
def test_descriptions_of_backing_files(description: dict[str, Any], image: str) -> None:
    assert backing_of("/dir/overlay", head("json:" + json.dumps(description), "raw")) == Link(image, "raw")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("backing_format", [None, "raw", "qcow2"])
def test_the_format_of_the_backing_file(backing_format: Optional[str], version: int) -> None:
    assert backing_of("/dir/overlay", head("/i/base", backing_format, version)) == Link("/i/base", backing_format)


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", bytes(512), head("")])
def test_an_image_without_a_backing_file_has_none(content: bytes) -> None:
    assert backing_of("/dir/image", content) is None


@pytest.mark.parametrize("size", range(0, 120, 7))
def test_a_head_that_is_cut_off_raises_nothing(size: int) -> None:
    backing_of("/dir/image", head("/i/base", "raw")[:size])


def test_the_chain_that_libvirt_names_is_without_what_the_disk_is_copied_to() -> None:
    assert chain_of(RUNNING_DISK) == [Link("/i/s2", "qcow2"), Link("/i/s1", "qcow2"), Link("rbd:pool/vol", "raw")]


def test_a_disk_is_copied_to_what_its_mirror_names() -> None:
    assert mirror_images(RUNNING_DISK) == ["/i/copy", "/i/below-copy"]
    assert is_copied_to(RUNNING_DISK, "/i/copy")
    assert not is_copied_to(RUNNING_DISK, "/i/s1")


def test_a_snapshot_shows_which_image_its_overlay_was_created_on() -> None:
    snapshot = etree.fromstring(
        """
<domainsnapshot>
  <disks>
    <disk name='vda' snapshot='external'><source file='/i/s1'/></disk>
    <disk name='/i/data' snapshot='external'><source file='/i/data.s1'/></disk>
    <disk name='vdc' snapshot='no'/>
    <disk name='vdd' snapshot='internal'/>
  </disks>
  <domain><devices>
    <disk><source file='/i/base'/><target dev='vda'/></disk>
    <disk><source file='/i/data'/><target dev='vdb'/></disk>
    <disk device='cdrom'><target dev='hdc'/></disk>
  </devices></domain>
</domainsnapshot>"""
    )
    assert snapshot_overlays([snapshot]) == {"/i/s1": "/i/base", "/i/data.s1": "/i/data"}
