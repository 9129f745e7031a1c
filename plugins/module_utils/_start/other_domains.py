# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources that the other domains of the hypervisor use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Optional

try:
    from lxml import etree
except ImportError:  # the module reports it
    pass

from .._errors.errors import VmError
from .._libvirt.hypervisor import Hypervisor
from .._libvirt.observed import DomainList
from ..import_lock import import_lock

if TYPE_CHECKING:
    from .domain_claims import Claims

    Has = Callable[[Claims], bool]


class OtherDomains:
    """The claims of all domains except the task's VMs. They are read once, when the first VM needs them.

    C(task_uuids): the VMs of the task, which are only read if something is taken.
    """

    def __init__(self, hypervisor: Hypervisor, domains: DomainList, task_uuids: Iterable[str]) -> None:
        self._hypervisor = hypervisor
        self._domains = domains
        self._task_uuids = frozenset(task_uuids)
        self._lock = threading.Lock()
        self._claims: Optional[list[tuple[bool, Claims]]] = None
        self._writers: Optional[list[tuple[str, str, frozenset[str]]]] = None

    def active(self, has: Has) -> Optional[str]:
        """Return the label of a running domain."""
        return next((claims.label for active, claims in self._all() if active and has(claims)), None)

    def inactive(self, has: Has) -> Optional[str]:
        """Return the label of a domain that is off."""
        return next((claims.label for active, claims in self._all() if not active and has(claims)), None)

    def writer_of(self, image: str, uuid: str, real_path: Callable[[str], str]) -> Optional[str]:
        """Return the label of a domain other than the VM C(uuid), running or defined, whose guest writes to an image.

        C(real_path) returns the canonical name of a path. VMs of the task are other domains here, as far as they
        existed when it began.
        """
        with self._lock:
            if self._writers is None:
                self._writers = list(self._read_writers(real_path))
        name = real_path(image)
        return next((label for other, label, images in self._writers if other != uuid and name in images), None)

    def _read_writers(self, real_path: Callable[[str], str]) -> Iterator[tuple[str, str, frozenset[str]]]:
        for uuid in self._domains.names:
            for active in (True, False) if uuid in self._domains.active else (False,):
                claims = self._read(uuid, active)
                if claims is not None:
                    yield uuid, claims.label, frozenset(map(real_path, claims.written))

    def of_task(self, uuid: str, has: Has) -> Optional[str]:
        """Return the label of another running VM of the task."""
        others = (other for other in self._task_uuids & self._domains.active if other != uuid)
        found = (self._read(other, True) for other in others)
        return next((claims.label for claims in found if claims is not None and has(claims)), None)

    def _all(self) -> list[tuple[bool, Claims]]:
        with self._lock:
            if self._claims is None:
                uuids = [uuid for uuid in self._domains.names if uuid not in self._task_uuids]
                found = [
                    (uuid in self._domains.active, self._read(uuid, uuid in self._domains.active)) for uuid in uuids
                ]
                self._claims = [(active, claims) for active, claims in found if claims is not None]
            return self._claims

    def _read(self, uuid: str, active: bool) -> Optional[Claims]:
        """Return a domain's claims; None if they can't be read: it may have gone meanwhile, or its QEMU hangs."""
        with import_lock:
            from .domain_claims import claims_of

        try:
            return claims_of(etree.fromstring(self._hypervisor.xml(uuid, inactive=not active)), active)
        except VmError as error:
            if error.lost_libvirt:
                raise
            return None
