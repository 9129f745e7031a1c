# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that are being recovered: the guest uses an NBD export until the volume itself is complete."""

from __future__ import annotations

from typing import Optional, cast

from .._errors.errors import Problem
from .._spec.disk_checks import parse_nbd_url
from .._spec.vm import Volume
from .base import (
    Address,
    Asking,
    Backend,
    DiskSource,
    Inquiry,
    StorageFacts,
    StorageItem,
    host_name,
    image_options,
    network_source,
)


class NbdBackend(Backend):
    """C(recovery_url) is C(nbd://HOST:PORT/EXPORT)."""

    def check(self, item: StorageItem) -> list[Problem]:
        host, _port, _export = _export_of(item)
        if host_name(host) is None:
            message = "%r is neither a host name nor an IP address" % host
            return [Problem("%s.recovery_url" % item.option_path, message)]
        return []

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        host, port, export = _export_of(item)
        return DiskSource("network", network_source("nbd", export, [(host_name(host) or host, port)]))

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        host, port, _export = _export_of(item)
        return (Address(host, port),)

    def inquiry(self, item: StorageItem, asking: Asking) -> Optional[Inquiry]:
        if asking.system.is_remote:
            return None
        host, port, export = _export_of(item)
        server = {"type": "inet", "host": host, "port": str(port)}
        return Inquiry(image_options(driver="nbd", server=server, export=export))

    def explain(self, item: StorageItem, reason: str) -> Optional[tuple[str, str]]:
        host, port, export = _export_of(item)
        if "export" in reason and ("not available" in reason or "not present" in reason):
            return "storage_missing", "the NBD server %s port %d has no export %s" % (host, port, export)
        return "image_unreadable", "qemu-img cannot open %s: %s" % (cast(Volume, item).recovery_url, reason)


def _export_of(item: StorageItem) -> tuple[str, int, str]:
    return parse_nbd_url(cast(Volume, item).recovery_url or "")
