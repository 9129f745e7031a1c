# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and CDs that a process of the hypervisor serves as vhost-user-blk devices on Unix sockets."""

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

# Seconds between two attempts of QEMU to reach a server that has gone.
_RECONNECT_SECONDS = 10


class VhostUserBackend(Backend):
    """C(install_path) is the absolute path of the server's socket."""

    def check(self, item: StorageItem) -> list[Problem]:
        path = path_of(item)
        if not path.startswith("/") or path == "/" or CONTROL_CHARACTERS.search(path):
            return [Problem(option_path_of(item), "%r is not the absolute path of a socket" % path)]
        return []

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        source = etree.Element("source", type="unix", path=path_of(item))
        etree.SubElement(source, "reconnect", enabled="yes", timeout=str(_RECONNECT_SECONDS))
        image_format = "raw" if isinstance(item, Cdrom) else item.format or "raw"
        return DiskSource("vhostuser", source, driver_type=image_format, snapshot="no")

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        # Not connected to: such a server serves one client at a time.
        path = path_of(item)
        if context.files is not None and not context.files.is_hidden(path):
            kind = context.files.path_kind(path)
            if kind is None:
                raise VmError("storage_missing", "the socket %s does not exist" % path)
            if kind != "socket":
                raise VmError("storage_missing", "%s is not a socket" % path)
        return None
