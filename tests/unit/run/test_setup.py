# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The development environment is created once, and gets new requirements without being removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.run.checkout import Checkout
from ansible_collections.zstack.kvm.tests.run.process import Outcome
from ansible_collections.zstack.kvm.tests.run.setup import Setup, SetupError

CREATE, INSTALL = "venv", "install"


class RecordingSetup(Setup):
    """Records which commands would be run."""

    def __init__(self, root: Path) -> None:
        super().__init__(Checkout(root))
        self.ran: list[str] = []

    def _run(self, command: list[str], *_arguments: Any) -> Outcome:
        self.ran += [word for word in command if word in (CREATE, INSTALL)]
        (self.checkout.venv / "bin").mkdir(parents=True, exist_ok=True)
        return Outcome("", "")

    def prepared(self, *requirements: str) -> list[str]:
        """Prepare an environment, and return the commands for it."""
        self.ran = []
        self._virtual_environment("environment", self.checkout.venv, "/usr/bin/python3", list(requirements))
        return self.ran


@pytest.fixture
def setup(tmp_path: Path) -> RecordingSetup:
    return RecordingSetup(tmp_path)


def test_a_new_one_is_created_and_filled(setup: RecordingSetup) -> None:
    assert setup.prepared("pytest") == [CREATE, INSTALL]


def test_the_next_run_finds_it(setup: RecordingSetup) -> None:
    setup.prepared("pytest")
    assert setup.prepared("pytest") == []


def test_new_requirements_are_installed_into_it(setup: RecordingSetup) -> None:
    setup.prepared("pytest")
    assert setup.prepared("pytest", "nox") == [INSTALL]


def test_a_system_that_cannot_be_created_leaves_the_others_their_tests(
    setup: RecordingSetup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str) -> None:
        raise SetupError(f"Creating the files of {name}: unmet dependencies")

    monkeypatch.setattr(setup, "_system", refuse)
    setup._try_system("debian-unstable")
    assert capsys.readouterr().out == "Creating the files of debian-unstable: unmet dependencies\n"


def test_an_environment_of_unknown_origin_is_recreated(setup: RecordingSetup) -> None:
    setup.prepared("pytest")
    (setup.checkout.venv / "stamp").write_text("0123abcd", encoding="utf-8")
    assert setup.prepared("pytest") == [CREATE, INSTALL]
