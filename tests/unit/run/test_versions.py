# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions are run: those that are promised; and what cannot be run keeps nothing else from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.zstack.kvm.tests.run import __main__ as command
from ansible_collections.zstack.kvm.tests.run import pythons, real, sanity, versions
from ansible_collections.zstack.kvm.tests.run.checkout import Checkout
from ansible_collections.zstack.kvm.tests.run.parts import Part
from ansible_collections.zstack.kvm.tests.run.result import Result
from ansible_collections.zstack.kvm.tests.run.screen import Screen
from ansible_collections.zstack.kvm.tests.run.setup import Setup, SetupError

CHECKOUT = Path(__file__).resolve().parents[3]


def promised(path: str) -> Any:
    return yaml.safe_load((CHECKOUT / path).read_text(encoding="utf-8"))


def test_the_oldest_ansible_core_and_python_are_those_that_are_promised() -> None:
    assert promised("meta/runtime.yml")["requires_ansible"] == f">={min(versions.CORES)}.0"
    targets = {target for supported in versions.CORES.values() for target in supported.targets}
    oldest = min(targets, key=lambda version: [int(number) for number in version.split(".")])
    assert promised("tests/config.yml")["modules"]["python_requires"] == f">={oldest}"


def test_the_tests_that_are_run_on_versions_exist() -> None:
    for name in {*versions.TESTS_OF_CORES, *versions.TESTS_OF_TARGETS, versions.SOURCE}:
        assert (CHECKOUT / real.TESTS / name).is_file()


def test_an_environment_that_cannot_be_made_is_a_problem_and_the_others_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def environment(_setup: Setup, what: str, *_arguments: Any) -> None:
        if what in ("ansible-core 2.19, Python 3.12", "Python 3.9 of a hypervisor"):
            raise SetupError("no wheel for this Python")

    @contextlib.contextmanager
    def laboratory(*_arguments: Any) -> Iterator[list[list[str]]]:
        yield [[]]

    found = {"3.9": Path("/python3.9"), "3.12": Path("/python3.12")}
    monkeypatch.setattr(pythons, "find", lambda _versions: found)
    monkeypatch.setattr(Setup, "virtual_environment", environment)
    monkeypatch.setattr(sanity, "counted", lambda *_arguments, **_options: None)
    monkeypatch.setattr(real, "laboratory", laboratory)
    monkeypatch.setattr(real, "pytest", lambda _checkout, _result, name, *_arguments, **_variables: ran.append(name))
    result = Result("versions")
    versions.versions(Checkout(tmp_path), result, [])
    assert ran == ["versions-core-2.20", "versions-core-2.21", "versions-python-3.12"]
    assert result.problems == [
        "ansible-core 2.19, Python 3.12: no wheel for this Python",
        "Python 3.9 of a hypervisor: no wheel for this Python",
    ]


def test_a_part_that_breaks_off_is_a_failure_of_this_part(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def breaks(*_arguments: Any) -> None:
        raise RuntimeError("what nobody thought of")

    result = command._run(Part("unit", "unit tests", breaks), Checkout(tmp_path), [], Screen())
    assert (result.failed, result.problems) == (1, ["unit broke off: RuntimeError('what nobody thought of')"])
    assert "Traceback" in capfd.readouterr().out
