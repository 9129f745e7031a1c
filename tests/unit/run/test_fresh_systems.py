# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a minimal system are created once, and never left incomplete."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import fresh_systems, systems


class Failed(Exception):
    """Raised for a command that fails."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "CACHE", tmp_path)
    monkeypatch.setattr(systems, "_mirror", lambda: "http://mirror.example/debian")


def bootstrapped(command: list[str]) -> Path:
    """Return the directory that a command of mmdebstrap would fill, which must not exist; create it."""
    suite, target, _mirror = command[-3:]
    assert (command[0], suite) == ("mmdebstrap", "trixie")
    Path(target).mkdir()
    return Path(target)


def test_they_are_created_once() -> None:
    ran: list[Path] = []
    for _time in range(2):
        fresh_systems.create("debian-13", lambda command: ran.append(bootstrapped(command)))
    assert len(ran) == 1
    assert fresh_systems.directory("debian-13").is_dir() and not ran[0].exists()


def test_what_a_failed_command_has_left_is_never_used() -> None:
    def fails(command: list[str]) -> None:
        bootstrapped(command)
        raise Failed

    for _time in range(2):
        with pytest.raises(Failed):
            fresh_systems.create("debian-13", fails)
    assert not fresh_systems.directory("debian-13").exists()
