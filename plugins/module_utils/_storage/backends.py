# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend of each kind of storage, and questions about a volume or CD that any of them answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .._errors.errors import Problem
from .._spec.vm import CdDrive, Cdrom, Volume
from .base import Backend, DiskSource, StorageFacts, StorageItem
from .ceph import CephBackend
from .file import FileBackend
from .fusionstor import FusionstorBackend
from .iscsi import IscsiBackend, check_passwords
from .iscsi_cd import IscsiCdBackend
from .nbd import NbdBackend
from .vhost_user import VhostUserBackend

BACKENDS: Mapping[str, Backend] = {
    "file": FileBackend(),
    "block": FileBackend(),
    "ceph": CephBackend(),
    "iscsi": IscsiBackend(),
    "vhost": VhostUserBackend(),
    "fusionstor": FusionstorBackend(),
}

_CD_BACKENDS = (BACKENDS["ceph"], BACKENDS["fusionstor"], IscsiCdBackend())
_RECOVERY = NbdBackend()


def backend_of(item: StorageItem) -> Backend:
    """Return a volume's backend by its device_type, a CD's by the scheme of its path."""
    if not isinstance(item, Cdrom):
        return _RECOVERY if item.recovery_url else BACKENDS[item.device_type]
    if isinstance(item, CdDrive) and item.protocol is not None:
        return BACKENDS[item.protocol]
    by_scheme = (backend for backend in _CD_BACKENDS if item.path.startswith(backend.scheme))
    return next(by_scheme, BACKENDS["file"])


def check(item: StorageItem) -> list[Problem]:
    """Return the problems in the description of one volume or CD."""
    return backend_of(item).check(item)


def check_together(volumes: Iterable[Volume]) -> list[Problem]:
    """Return the conflicts between the volumes of all VMs of a task."""
    return check_passwords(volumes)


def disk(item: StorageItem, facts: StorageFacts) -> DiskSource:
    """Return the location of a volume's or CD's data, in libvirt's terms."""
    return backend_of(item).disk(item, facts)
