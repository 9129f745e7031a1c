# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend of each kind of storage, and what all of them can say of a volume or CD."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .._errors.errors import Problem
from .._spec.vm import Cdrom, Volume
from .base import Backend, DiskSource, StorageFacts, StorageItem
from .ceph import CephBackend
from .file import FileBackend
from .fusionstor import FusionstorBackend
from .iscsi import IscsiBackend, check_passwords

BACKENDS: Mapping[str, Backend] = {
    "file": FileBackend(),
    "ceph": CephBackend(),
    "iscsi": IscsiBackend(),
    "fusionstor": FusionstorBackend(),
}

_CD_BACKENDS = ("ceph", "fusionstor")


def backend_of(item: StorageItem) -> Backend:
    """Return a volume's backend by its device_type, a CD's by the beginning of its path."""
    if isinstance(item, Cdrom):
        for name in _CD_BACKENDS:
            if item.path.startswith(BACKENDS[name].scheme):
                return BACKENDS[name]
        return BACKENDS["file"]
    return BACKENDS[item.device_type]


def check(item: StorageItem) -> list[Problem]:
    """Return what is wrong with the description of one volume or CD."""
    return backend_of(item).check(item)


def check_together(volumes: Iterable[Volume]) -> list[Problem]:
    """Return what is wrong between the volumes of all VMs of a task."""
    return check_passwords(volumes)


def disk(item: StorageItem, facts: StorageFacts) -> DiskSource:
    """Return where the data of a volume or CD is, in libvirt's terms."""
    return backend_of(item).disk(item, facts)
