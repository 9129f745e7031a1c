# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and CDs that are files or block devices of the hypervisor (local, NFS, shared mount points, LVM)."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem, VmError
from .._spec.vm import Cdrom
from .base import (
    CONTROL_CHARACTERS,
    Asking,
    Backend,
    DiskSource,
    Inquiry,
    StorageFacts,
    StorageItem,
    option_path_of,
    path_of,
)

# What a file counts as while it can't be asked: ZStack makes its volumes as qcow2.
ASSUMED_FORMAT = "qcow2"


# What can be an image.
IMAGE_KINDS = ("file", "block")


class FileBackend(Backend):
    """C(install_path) is an absolute path, of a file or a block device: what is there decides."""

    def check(self, item: StorageItem) -> list[Problem]:
        path = path_of(item)
        if not path.startswith("/") or path == "/" or CONTROL_CHARACTERS.search(path):
            others = ", or a URL that begins with ceph:// or fusionstor://" if isinstance(item, Cdrom) else ""
            return [Problem(option_path_of(item), "%r is not the absolute path of a file%s" % (path, others))]
        return []

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        path = path_of(item)
        is_block = path in facts.block_devices
        disk_type = "block" if is_block else "file"
        source = etree.Element("source", {"dev" if is_block else "file": path})
        if isinstance(item, Cdrom):
            return DiskSource(disk_type, source)
        image_format = item.format or facts.formats.get(path, ASSUMED_FORMAT)
        return DiskSource(disk_type, source, driver_type=image_format, snapshot="external")

    def inquiry(self, item: StorageItem, asking: Asking) -> Optional[Inquiry]:
        # Through libvirt alone there is no telling; libvirt itself says it at the start.
        # Nor is there for a user who can't see the file; libvirt reads it with its own rights.
        if not asking.system.is_remote and not asking.system.files.is_hidden(path_of(item)):
            kind = asking.system.files.path_kind(path_of(item))
            if kind is None:
                raise VmError("image_missing", "there is no file or block device %s" % path_of(item))
            if kind not in IMAGE_KINDS:
                raise VmError("image_missing", "%s is neither a file nor a block device" % path_of(item))
        return None
