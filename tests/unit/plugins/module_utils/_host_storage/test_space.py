# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The space that all new volumes of a task need together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.space import Space


def space(free: int) -> Space:
    system: Any = SimpleNamespace(files=SimpleNamespace(free_space=lambda directory: (hash(directory), free)))
    return Space(system)


def test_what_others_need_is_missing() -> None:
    limited = space(100)
    assert limited.reserve("/a/1", "/a", 60) is None
    assert limited.reserve("/a/2", "/a", 60) == 40
    assert limited.reserve("/a/3", "/a", 40) is None


def test_each_file_system_has_its_own() -> None:
    limited = space(100)
    assert limited.reserve("/a/1", "/a", 60) is None
    assert limited.reserve("/b/1", "/b", 60) is None


def test_a_volume_of_two_vms_is_counted_once() -> None:
    limited = space(100)
    assert limited.reserve("/a/1", "/a", 60) is None
    assert limited.reserve("/a/1", "/a", 60) is None
