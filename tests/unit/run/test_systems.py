# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of other systems are created once, and again when what they are created from has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import modular_libvirt, systems

MODULAR, BASE = "debian-13-modular", "debian-13"


class Recorder:
    """Records the commands that would be run, and creates the directories that they would create."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __call__(self, command: list[str]) -> None:
        self.commands.append(" ".join(command))
        if command[0] in ("mmdebstrap", "cp"):
            root = Path(command[-2] if command[0] == "mmdebstrap" else command[-1])
            for name in ("etc/apt/sources.list.d", "etc/ssl/certs", "tmp", "usr/sbin"):
                (root / name).mkdir(parents=True, exist_ok=True)
            (root / "usr/sbin/libvirtd").touch()

    def of(self, word: str) -> list[str]:
        """Return the commands with a word."""
        return [command for command in self.commands if word in command]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with a cache of its own."""
    monkeypatch.setattr(systems, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(systems, "_mirror", lambda: "http://mirror.example/debian")
    certificates = tmp_path / "certificates"
    certificates.touch()
    monkeypatch.setattr(systems, "_DOWNLOAD_FILES", {certificates: "etc/ssl/certs/ca-certificates.crt"})
    for name in (systems.PACKAGES, systems.REQUIREMENTS, modular_libvirt.RECIPE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


def created(checkout: Path, name: str) -> Recorder:
    recorder = Recorder()
    systems.create(checkout, name, ["libvirt-daemon-system"], recorder)
    assert systems.directory(checkout, name).is_dir()
    return recorder


def test_what_exists_is_not_created_again(checkout: Path) -> None:
    assert created(checkout, BASE).of("mmdebstrap")
    assert created(checkout, BASE).commands == []


def test_modular_daemons_are_built_and_installed_over_the_base_which_stays_as_it_is(checkout: Path) -> None:
    run = created(checkout, MODULAR)
    base, modular = systems.directory(checkout, BASE), systems.directory(checkout, MODULAR)
    assert [command.split()[-2:] for command in run.of("cp --archive")][0] == [str(base), f"{modular}.unfinished"]
    assert len(run.of("meson install")) == 1
    assert (base / "usr/sbin/libvirtd").exists() and not (modular / "usr/sbin/libvirtd").exists()
    assert sorted(systems.CACHE.iterdir()) == sorted([base, modular])


def test_an_index_of_packages_may_be_older_than_it_is_valid(checkout: Path) -> None:
    (command,) = created(checkout, BASE).of("mmdebstrap")
    assert '--aptopt=Acquire::Check-Valid-Until "false"' in command


def test_a_base_that_exists_is_used(checkout: Path) -> None:
    created(checkout, BASE)
    assert len(created(checkout, MODULAR).of("mmdebstrap")) == 1


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (systems.PACKAGES, set(systems.SYSTEMS)),
        (systems.REQUIREMENTS, set(systems.SYSTEMS)),
        (modular_libvirt.RECIPE, {MODULAR}),
    ],
)
def test_what_they_are_created_from_is_part_of_their_names(checkout: Path, changed: str, names: set[str]) -> None:
    before = {name: systems.directory(checkout, name) for name in systems.SYSTEMS}
    (checkout / changed).write_text("something else", encoding="utf-8")
    assert {name for name in systems.SYSTEMS if systems.directory(checkout, name) != before[name]} == names


def test_the_base_of_a_system_is_one_of_the_same_suite() -> None:
    based = [system for system in systems.SYSTEMS.values() if system.base]
    assert based
    assert all(systems.SYSTEMS[system.base].suite == system.suite for system in based)
