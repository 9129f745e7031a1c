# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of the kinds of storage in which volumes are created."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Optional

from .._actions.shared_objects import shared_lock
from .._errors.errors import Problem
from .._spec.vm import Volume, VolumeCreation
from .._storage.found_volume import FoundVolume

if TYPE_CHECKING:
    from .._host.lock import HostLock
    from .._host.system import System

# Removes what was created; returns whether it could, because nobody has written to it.
Remove = Callable[[], bool]


class Written(NamedTuple):
    """The image that the guest of a volume writes to: the volume itself, or an overlay of it.

    C(format): empty for the one that the header states.
    """

    image: str
    format: str


class VolumeStore(ABC):
    """One kind of storage, on one hypervisor."""

    @abstractmethod
    def is_missing(self, volume: Volume) -> bool:
        """Return whether the volume certainly does not exist."""

    @abstractmethod
    def find(self, volume: Volume, written: Written) -> Optional[FoundVolume]:
        """Return the image that the guest of an existing volume writes to; None if it is nothing that can be grown."""

    @abstractmethod
    def canonical(self, image: str) -> str:
        """Return the name of an image that has several."""

    @abstractmethod
    def problems(self, volume: Volume, create: VolumeCreation) -> list[Problem]:
        """Return what keeps a missing volume from being created."""

    @abstractmethod
    def create(self, volume: Volume, create: VolumeCreation, cancelled: threading.Event) -> Optional[Remove]:
        """Create a volume, whole or not at all. Return None if somebody else has created it meanwhile."""

    @abstractmethod
    def check_closed(self, volume: Volume) -> None:
        """Raise VmError if a process has a volume open, as far as that can be known, or if it is not a volume."""

    @abstractmethod
    def remove(self, volume: Volume) -> None:
        """Remove a volume."""

    @abstractmethod
    def grow(self, volume: Volume, written: Written, size: int, cancelled: threading.Event) -> None:
        """Grow a volume that no guest has open."""


def volume_lock(system: System, volume: Volume) -> HostLock:
    """Acquire the lock of a volume, which whoever creates or changes it must hold. Use it with C(with)."""
    return shared_lock(system, lock_name(volume), "the volume %s" % volume.install_path)


def lock_name(volume: Volume) -> str:
    """Return the name of a volume's lock."""
    return "volume %s" % volume.install_path
