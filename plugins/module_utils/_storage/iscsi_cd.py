# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CDs that are LUNs of an iSCSI target: the hypervisor logs in, and udev names the device by the disk's id."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import Problem, VmError
from .base import (
    ISCSI_SCHEME,
    Address,
    Backend,
    DiskSource,
    Inquiry,
    InquiryContext,
    StorageFacts,
    StorageItem,
    check_url,
    host_name,
    option_path_of,
    path_of,
)

_FORM = "iscsi://HOST[,HOST]:PORT/IQN/DISK_ID"
_URL = re.compile(
    r"iscsi://(?P<hosts>[^/:\s]+):(?P<port>[0-9]{1,5})/(?P<iqn>[^/\s]+)/(?:0x)?(?P<disk>[0-9A-Fa-f]{1,32})"
)


class CdLun(NamedTuple):
    """A LUN behind one or several portals of a target; C(device) appears after the login."""

    hosts: tuple[str, ...]
    port: int
    iqn: str
    device: str


def parse_cd_lun(path: str) -> Optional[CdLun]:
    """Return the LUN of C(iscsi://HOST[,HOST]:PORT/IQN/DISK_ID); None if it has another form."""
    found = _URL.fullmatch(path)
    if not found:
        return None
    hosts = [host_name(host) for host in found["hosts"].split(",")]
    port = int(found["port"])
    if None in hosts or not 0 < port < 65536:
        return None
    device = "/dev/disk/by-id/wwn-0x%s" % found["disk"].lower()
    return CdLun(tuple(host for host in hosts if host), port, found["iqn"], device)


class IscsiCdBackend(Backend):
    """C(path) is C(iscsi://HOST[,HOST]:PORT/IQN/DISK_ID)."""

    def check(self, item: StorageItem) -> list[Problem]:
        problems = check_url(item, ISCSI_SCHEME, _FORM)
        if not problems and parse_cd_lun(path_of(item)) is None:
            problems.append(Problem(option_path_of(item), "%r does not have the form %s" % (path_of(item), _FORM)))
        return problems

    def disk(self, item: StorageItem, facts: StorageFacts) -> DiskSource:
        return DiskSource("block", etree.Element("source", dev=_lun_of(item).device))

    def addresses(self, item: StorageItem) -> tuple[Address, ...]:
        lun = _lun_of(item)
        return tuple(Address(host, lun.port) for host in lun.hosts)

    def inquiry(self, item: StorageItem, context: InquiryContext) -> Optional[Inquiry]:
        if context.files is None:
            raise VmError("needs_hypervisor", "the login to an iSCSI target must run on the hypervisor itself")
        return None


def _lun_of(item: StorageItem) -> CdLun:
    lun = parse_cd_lun(path_of(item))
    if lun is None:
        raise ValueError("%r is not an iSCSI URL of a CD" % path_of(item))
    return lun
