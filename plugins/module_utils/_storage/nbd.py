# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that are being recovered: the guest uses an NBD export until the volume itself is complete."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, cast

from .._errors.errors import Problem
from .._spec.vm import Volume
from .base import (
    Address,
    Backend,
    DiskSource,
    Inquiry,
    InquiryContext,
    StorageFacts,
    StorageItem,
    host_name,
    image_options,
    network_source,
)

_URL = re.compile(r"nbd://(?P<host>\[[^]/]*\]|[^]\[:/@\s]+):(?P<port>[0-9]{1,5})/(?P<export>[^\s?#]+)")


class Export(NamedTuple):
    """An export of an NBD server."""

    host: str
    port: int
    name: str


def parse_export(url: str) -> Optional[Export]:
    """Return the export of C(nbd://HOST:PORT/EXPORT); None if it has another form."""
    found = _URL.fullmatch(url)
    host = host_name(found["host"]) if found else None
    if not found or host is None or not 0 < int(found["port"]) < 65536:
        return None
    return Export(host, int(found["port"]), found["export"])


class NbdBackend(Backend):
    """C(recovery_url) is C(nbd://HOST:PORT/EXPORT)."""

    def check(self, item: StorageItem) -> list[Problem]:
        url = cast(Volume, item).recovery_url or ""
        if parse_export(url) is None:
            message = "%r does not have the form nbd://HOST:PORT/EXPORT" % url
            return [Problem("%s.recovery_url" % item.option_path, message)]
        return []

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        export = _export_of(item)
        return DiskSource("network", network_source("nbd", export.name, [(export.host, export.port)]))

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        export = _export_of(item)
        return (Address(export.host, export.port),)

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        if context.files is None:
            return None
        export = _export_of(item)
        server = {"type": "inet", "host": export.host, "port": str(export.port)}
        return Inquiry(image_options(driver="nbd", server=server, export=export.name))

    def explain(self, item: StorageItem, reason: str) -> Optional[tuple[str, str]]:
        export = _export_of(item)
        if "export" in reason and ("not available" in reason or "not present" in reason):
            return "storage_missing", "the NBD server %s port %d has no export %s" % export
        return "image_unreadable", "qemu-img cannot open %s: %s" % (cast(Volume, item).recovery_url, reason)


def _export_of(item: StorageItem) -> Export:
    export = parse_export(cast(Volume, item).recovery_url or "")
    if export is None:
        raise ValueError("the volume has no NBD export")
    return export
