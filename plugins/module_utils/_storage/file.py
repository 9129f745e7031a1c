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
    Backend,
    DiskSource,
    Inquiry,
    InquiryContext,
    StorageFacts,
    StorageItem,
    option_path_of,
    path_of,
)

# The format of a file that cannot be examined: ZStack creates its volumes as qcow2.
ASSUMED_FORMAT = "qcow2"


# Kinds of paths that can be images.
IMAGE_KINDS = ("file", "block")


class FileBackend(Backend):
    """C(install_path) is the absolute path of a file or block device, whichever exists there."""

    def check(self, item: StorageItem) -> list[Problem]:
        path = path_of(item)
        if not path.startswith("/") or path == "/" or CONTROL_CHARACTERS.search(path):
            others = ", or a URL that begins with ceph://, fusionstor:// or iscsi://" if isinstance(item, Cdrom) else ""
            return [Problem(option_path_of(item), "%r is not the absolute path of a file%s" % (path, others))]
        return []

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        path = path_of(item)
        is_block = _is_block_volume(item) or path in facts.block_devices
        disk_type = "block" if is_block else "file"
        source = etree.Element("source", {"dev" if is_block else "file": path})
        if isinstance(item, Cdrom):
            return DiskSource(disk_type, source)
        image_format = item.format or facts.formats.get(path, ASSUMED_FORMAT)
        return DiskSource(disk_type, source, driver_type=image_format, snapshot="external")

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        # Unknown through libvirt alone; libvirt itself reports it at the start.
        # Also unknown to a user who cannot see the file; libvirt reads it with its own permissions.
        if context.files is not None and not context.files.is_hidden(path_of(item)):
            kind = context.files.path_kind(path_of(item))
            if kind is None:
                raise VmError("image_missing", "the file or block device %s does not exist" % path_of(item))
            if kind != "block" and _is_block_volume(item):
                raise VmError("image_missing", "%s is not a block device" % path_of(item))
            if kind not in IMAGE_KINDS:
                raise VmError("image_missing", "%s is neither a file nor a block device" % path_of(item))
        return None


def _is_block_volume(item: StorageItem) -> bool:
    return not isinstance(item, Cdrom) and item.device_type == "block"
