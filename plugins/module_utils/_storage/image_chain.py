# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backing images of a disk's active image, from libvirt's XML, qcow2 headers and snapshots. Pure.

An image is identified by its path, or by C(PROTOCOL:NAME) if it is on a server.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

# Enough of an image for its header, the header's extensions and the name of the backing file.
HEAD_BYTES = 65536
QCOW2_MAGIC = b"QFI\xfb"

# QEMU's docs/interop/qcow2.txt.
_HEADER = struct.Struct(">4sIQI")
_ENCRYPTION_OFFSET = 32
_HEADER_LENGTH_OFFSET = 100
QCOW2_LEAST_BYTES = _HEADER_LENGTH_V2 = 72
_EXTENSION = struct.Struct(">II")
_BACKING_FORMAT = 0xE2792ACA

_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Link(NamedTuple):
    """One image of a chain. C(format) is None if unknown."""

    image: str
    format: Optional[str]


def source_image(source: Optional[etree._Element]) -> Optional[str]:
    """Return the image that a C(source) element names, None if it names none."""
    if source is None:
        return None
    if source.get("protocol"):
        return "%s:%s" % (source.get("protocol"), source.get("name"))
    return source.get("file") or source.get("dev") or source.get("path") or None


def disk_image(disk: etree._Element) -> Optional[str]:
    """Return the active image of a disk, which its guest writes to."""
    return source_image(disk.find("source"))


def chain_of(disk: etree._Element) -> list[Link]:
    """Return the images of a disk in libvirt's XML, from the active one down."""
    driver = disk.find("driver")
    links = [(disk_image(disk), None if driver is None else driver.get("type"))]
    store = disk.find("backingStore")
    while store is not None:
        image_format = store.find("format")
        links.append((source_image(store.find("source")), None if image_format is None else image_format.get("type")))
        store = store.find("backingStore")
    return [Link(image, image_format) for image, image_format in links if image is not None]


def mirror_images(disk: etree._Element) -> list[str]:
    """Return the images that a block job copies or commits a disk to."""
    images = (source_image(source) for source in disk.iterfind("mirror//source"))
    return [image for image in images if image is not None]


def is_copied_to(disk: etree._Element, image: str) -> bool:
    """Return whether a block job copies a disk to an image, which is therefore not in its chain."""
    return any(source_image(source) == image for source in disk.iterfind("mirror[@job='copy']/source"))


def backing_of(image: str, head: bytes) -> Optional[Link]:
    """Return the backing file that the head of a qcow2 image names, None if it names none."""
    if len(head) < _HEADER.size or not head.startswith(QCOW2_MAGIC):
        return None
    _magic, version, offset, size = _HEADER.unpack_from(head)
    name = head[offset : offset + size].decode("utf-8", "surrogateescape")
    if not offset or len(name) == 0:
        return None
    backing = _named_image(name, os.path.dirname(image))
    return None if backing is None else Link(backing, _backing_format(version, head[:offset]))


def is_encrypted(head: bytes) -> bool:
    """Return whether the head of a qcow2 image says that its clusters are encrypted."""
    if len(head) < _ENCRYPTION_OFFSET + 4 or not head.startswith(QCOW2_MAGIC):
        return False
    return head[_ENCRYPTION_OFFSET : _ENCRYPTION_OFFSET + 4] != bytes(4)


def _backing_format(version: int, head: bytes) -> Optional[str]:
    position = _HEADER_LENGTH_V2
    if version > 2 and len(head) >= _HEADER_LENGTH_OFFSET + 4:
        (position,) = struct.unpack_from(">I", head, _HEADER_LENGTH_OFFSET)
    while position + _EXTENSION.size <= len(head):
        kind, length = _EXTENSION.unpack_from(head, position)
        position += _EXTENSION.size
        if kind == _BACKING_FORMAT:
            return head[position : position + length].decode("ascii", "replace")
        if kind == 0:
            break
        # Extensions are padded to multiples of 8 bytes.
        position += (length + 7) & ~7
    return None


def _named_image(name: str, directory: str) -> Optional[str]:
    """Return the image that QEMU opens for the name of a backing file, None if volumes cannot be of that kind."""
    if name.startswith("json:"):
        try:
            return _described_image(json.loads(name[len("json:") :]), directory)
        except (ValueError, RecursionError):
            # An image may hold any text.
            return None
    if name.startswith("rbd:"):
        return "rbd:" + _unescaped(re.split(r"(?<!\\)[:@]", name[len("rbd:") :])[0])
    if name.startswith("nbd"):
        return _nbd_image(name)
    if name.startswith("iscsi://"):
        return "iscsi:" + unquote(urlsplit(name).path.lstrip("/"))
    if name.startswith("file:"):
        name = name[len("file:") :]
    elif _PROTOCOL.match(name):
        return None
    return os.path.normpath(os.path.join(directory, name))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _nbd_image(name: str) -> Optional[str]:
    if name.startswith("nbd:"):
        dummy, separator, export = name.partition(":exportname=")
        return "nbd:" + export if separator else None
    return "nbd:" + unquote(urlsplit(name).path[1:])


def _described_image(description: Any, directory: str) -> Optional[str]:
    """Return the image of a block device as QEMU describes it, nested or with dots in the keys."""
    if not isinstance(description, Mapping):
        return None
    below = description.get("file")
    if isinstance(below, Mapping):
        return _described_image(below, directory)
    dotted = {key[len("file.") :]: value for key, value in description.items() if key.startswith("file.")}
    if dotted:
        return _described_image(dotted, directory)
    driver = description.get("driver")
    if driver == "rbd":
        names = (description.get("pool"), description.get("namespace"), description.get("image"))
        return "rbd:" + "/".join(str(name) for name in names if name)
    if driver == "nbd":
        return "nbd:%s" % description.get("export", "")
    if driver == "iscsi":
        return "iscsi:%s/%s" % (description.get("target"), description.get("lun", 0))
    filename = description.get("filename")
    return _named_image(filename, directory) if isinstance(filename, str) else None


def snapshot_overlays(snapshots: Iterable[etree._Element]) -> dict[str, str]:
    """Return the overlays that libvirt's snapshots created, each with the image below it."""
    return dict(pair for snapshot in snapshots for pair in _overlays_of(snapshot))


def _overlays_of(snapshot: etree._Element) -> Iterator[tuple[str, str]]:
    before = {
        name: disk_image(disk)
        for disk in snapshot.iterfind("domain/devices/disk")
        for name in (disk.find("target").get("dev"), disk_image(disk))
    }
    for disk in snapshot.iterfind("disks/disk[@snapshot='external']"):
        overlay, base = source_image(disk.find("source")), before.get(disk.get("name"))
        if overlay is not None and base is not None:
            yield overlay, base
