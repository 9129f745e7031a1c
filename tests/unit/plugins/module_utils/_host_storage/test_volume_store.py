# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a volume is the same for every task, and every volume has its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._actions.shared_objects import LOCK_SECONDS
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.volume_store import lock_name, volume_lock
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Volume
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host_storage.images import volume_to_create


class System:
    """A hypervisor that records locks: their names, labels, and how long they are waited for."""

    def __init__(self) -> None:
        self.locks: list[tuple[Any, ...]] = []

    def shared_lock(self, name: str, label: str) -> Any:
        return type("Lock", (), {"acquire": lambda _self, seconds: self.locks.append((name, label, seconds))})()


def volume(path: str, **create: Any) -> Volume:
    return volume_to_create(Path(path), **(create or {"size": "1MiB"}))[0]


def test_a_volume_has_one_lock_whatever_its_options() -> None:
    assert lock_name(volume("/a")) == lock_name(volume("/a", size="2MiB", format="raw"))
    assert lock_name(volume("/a")) != lock_name(volume("/b"))


def test_the_lock_of_a_volume_is_shared_by_name_and_called_by_its_path() -> None:
    system: Any = System()
    for path in ("/a", "/a", "/b"):
        volume_lock(system, volume(path))
    first, again, other = system.locks
    assert first == again
    assert first[0] != other[0]
    assert first[1:] == ("the volume /a", LOCK_SECONDS)
