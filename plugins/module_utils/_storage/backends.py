# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend of each kind of storage, and questions about a volume or CD that any of them answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from .._errors.errors import Problem
from .._spec.vm import CdDrive, Cdrom, Volume
from ..import_lock import import_lock
from .base import CEPH_SCHEME, FUSIONSTOR_SCHEME, ISCSI_SCHEME, Backend, DiskSource, StorageFacts, StorageItem
from .file import FileBackend
from .iscsi import IscsiBackend, check_passwords

# What only some VMs need is imported where it is used: every task compiles its imports.


def _ceph() -> Backend:
    with import_lock:
        from .ceph import CephBackend

    return CephBackend()


def _fusionstor() -> Backend:
    with import_lock:
        from .fusionstor import FusionstorBackend

    return FusionstorBackend()


def _iscsi_cd() -> Backend:
    with import_lock:
        from .iscsi_cd import IscsiCdBackend

    return IscsiCdBackend()


def _recovery() -> Backend:
    with import_lock:
        from .nbd import NbdBackend

    return NbdBackend()


def _vhost_user() -> Backend:
    with import_lock:
        from .vhost_user import VhostUserBackend

    return VhostUserBackend()


_Creator = Callable[[], Backend]
_BY_DEVICE_TYPE: Mapping[str, _Creator] = {
    "file": FileBackend,
    "block": FileBackend,
    "ceph": _ceph,
    "iscsi": IscsiBackend,
    "vhost": _vhost_user,
    "fusionstor": _fusionstor,
}
_CDS_BY_SCHEME: Mapping[str, _Creator] = {CEPH_SCHEME: _ceph, FUSIONSTOR_SCHEME: _fusionstor, ISCSI_SCHEME: _iscsi_cd}


def backend_of(item: StorageItem) -> Backend:
    """Return a volume's backend by its device_type, a CD's by the scheme of its path."""
    return _created(_creator_of(item))


@cache
def _created(create: _Creator) -> Backend:
    return create()


def _creator_of(item: StorageItem) -> _Creator:
    if not isinstance(item, Cdrom):
        return _recovery if item.recovery_url else _BY_DEVICE_TYPE[item.device_type]
    if isinstance(item, CdDrive) and item.protocol is not None:
        return _BY_DEVICE_TYPE[item.protocol]
    by_scheme = (create for scheme, create in _CDS_BY_SCHEME.items() if item.path.startswith(scheme))
    return next(by_scheme, FileBackend)


def check(item: StorageItem) -> list[Problem]:
    """Return the problems in the description of one volume or CD."""
    return backend_of(item).check(item)


def check_together(volumes: Iterable[Volume]) -> list[Problem]:
    """Return the conflicts between the volumes of all VMs of a task."""
    return check_passwords(volumes)


def disk(item: StorageItem, facts: StorageFacts) -> DiskSource:
    """Return the location of a volume's or CD's data, in libvirt's terms."""
    return backend_of(item).disk(item, facts)
