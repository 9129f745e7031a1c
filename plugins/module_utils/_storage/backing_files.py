# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the files that the header of an image refers to, if nobody has set its format. Pure.

A guest can write such a header into its raw disk.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from typing import Optional

from .image_chain import QCOW2_MAGIC

# Directories that hold more than the images of one storage.
_SHARED = frozenset(
    ("/", "/dev", "/dev/mapper", "/home", "/media", "/mnt", "/opt", "/run", "/srv", "/tmp", "/usr", "/usr/share")
    + ("/var", "/var/lib", "/var/lib/libvirt", "/var/tmp")
)
# QEMU's docs/interop/qcow2.txt.
_HEADER = struct.Struct(">4sIQI")
_FEATURES_OFFSET = 72
_DATA_FILE_FEATURE = 4
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class OutsideError(Exception):
    """An image refers to something outside its storage; the text says to what."""


def backing_path(image: str, head: bytes, real_path: Callable[[str], str]) -> Optional[str]:
    """Return the path of the backing file that the head of an image names, None where it names none.

    Raise OutsideError if the image refers to anything but a file of its own storage.
    """
    if len(head) < _HEADER.size or not head.startswith(QCOW2_MAGIC):
        return None
    _magic, version, offset, size = _HEADER.unpack_from(head)
    if version > 2 and _has_data_file(head):
        raise OutsideError("an external data file")
    name = head[offset : offset + size]
    if not offset or not size:
        return None
    if len(name) < size:
        raise OutsideError("a backing file whose name is not near the beginning")
    return path_in_storage(image, name.decode("utf-8", "surrogateescape"), real_path)


def _has_data_file(head: bytes) -> bool:
    features = head[_FEATURES_OFFSET : _FEATURES_OFFSET + 8]
    return bool(int.from_bytes(features, "big") & _DATA_FILE_FEATURE)


def holds_several_storages(directory: str) -> bool:
    """Return whether a directory is one of the system's own, so that what is below it need not be one storage."""
    return directory in _SHARED


def storage_root(path: str) -> str:
    """Return the highest directory above a path that holds the images of one storage; its own directory at least."""
    directory = os.path.dirname(path)
    if directory in _SHARED:
        return directory
    while os.path.dirname(directory) not in _SHARED:
        directory = os.path.dirname(directory)
    return directory


def path_in_storage(image: str, name: str, real_path: Callable[[str], str]) -> str:
    """Return the path of the backing file that an image calls C(name).

    Raises OutsideError where it is not a file of the image's storage: both must have a directory in common that is not
    one of the system's own.
    """
    path = name[len("file:") :] if name.startswith("file:") else name
    if _PROTOCOL.match(path) or "\0" in path:
        raise OutsideError("the backing file %s" % name)
    path = os.path.normpath(os.path.join(os.path.dirname(image), path))
    if os.path.commonpath([_location(image, real_path), _location(path, real_path)]) in _SHARED:
        raise OutsideError("the backing file %s" % path)
    return path


def _location(path: str, real_path: Callable[[str], str]) -> str:
    """Return the real path of a file; for a logical volume the path in its volume group, not the device it links to."""
    path = os.path.normpath("/" + path.lstrip("/"))
    return path if path.startswith("/dev/") and not path.startswith("/dev/disk/") else real_path(path)
