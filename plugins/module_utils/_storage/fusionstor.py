# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and CDs of FusionStor, which every hypervisor offers as NBD exports on a unix socket."""

from __future__ import annotations

from typing import Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem
from .._spec.vm import Cdrom
from .base import (
    FUSIONSTOR_SCHEME,
    Address,
    Backend,
    DiskSource,
    Inquiry,
    InquiryContext,
    StorageFacts,
    StorageItem,
    check_url,
    image_options,
    option_path_of,
    path_of,
)

NBD_SOCKET = "/tmp/nbd-socket"


def export_name(item: StorageItem) -> str:
    """Return POOL/IMAGE, literally; FusionStor exports a CD under its name without the snapshot."""
    name = path_of(item)[len(FUSIONSTOR_SCHEME) :]
    return name.rpartition("@")[0] if isinstance(item, Cdrom) and "@" in name else name


class FusionstorBackend(Backend):
    """C(install_path) is C(fusionstor://POOL/IMAGE)."""

    def check(self, item: StorageItem) -> list[Problem]:
        form = "fusionstor://POOL/IMAGE@SNAPSHOT" if isinstance(item, Cdrom) else "fusionstor://POOL/IMAGE"
        problems = check_url(item, FUSIONSTOR_SCHEME, form)
        if not problems:
            pool, dummy, image = export_name(item).partition("/")
            if not pool or not image:
                problems.append(Problem(option_path_of(item), "%r does not have the form %s" % (path_of(item), form)))
        return problems

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        source = etree.Element("source", protocol="nbd", name=export_name(item))
        etree.SubElement(source, "host", transport="unix", socket=NBD_SOCKET)
        if isinstance(item, Cdrom):
            return DiskSource("network", source)
        return DiskSource("network", source, driver_type=item.format or facts.formats.get(path_of(item), "raw"))

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        return (Address(NBD_SOCKET),)

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        if context.files is None:
            return None
        server = {"type": "unix", "path": NBD_SOCKET}
        return Inquiry(image_options(driver="nbd", server=server, export=export_name(item)))

    def explain(self, item: StorageItem, reason: str) -> Optional[tuple[str, str]]:
        if "export" in reason and ("not available" in reason or "not present" in reason):
            return "storage_missing", "FusionStor has no export %s on %s" % (export_name(item), NBD_SOCKET)
        return super().explain(item, reason)
