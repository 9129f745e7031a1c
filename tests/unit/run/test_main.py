# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A part is a nox session; its reports are counted, and a crash fails this part only."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.run import __main__ as command
from ansible_collections.zstack.kvm.tests.run import systems
from ansible_collections.zstack.kvm.tests.run.checkout import Checkout
from ansible_collections.zstack.kvm.tests.run.screen import Screen

PART = command.Part("unit", "unit tests")


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Checkout:
    """Return a checkout whose nox runs the script of the test."""
    checkout = Checkout(tmp_path)
    (checkout.venv / "bin").mkdir(parents=True)
    return checkout


def nox(checkout: Checkout, script: str) -> None:
    program = Path(checkout.program("nox"))
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_a_session_without_reports_counts_as_one(checkout: Checkout) -> None:
    nox(checkout, "exit 0")
    result = command._run(PART, checkout, [], Screen())
    assert (result.passed, result.failed) == (1, 0)


def test_the_reason_of_a_session_that_failed_is_shown(checkout: Checkout) -> None:
    nox(checkout, 'echo "nox > Session unit aborted: ruff check, mypy (took 3 seconds)."; exit 1')
    result = command._run(PART, checkout, [], Screen())
    assert (result.failed, result.problems) == (1, ["unit: ruff check, mypy"])


def test_the_tests_in_reports_are_counted_and_reports_of_an_earlier_run_are_not(checkout: Checkout) -> None:
    checkout.result("unit-old").write_text('<testsuite tests="7"/>', encoding="utf-8")
    nox(checkout, f'echo \'<testsuite tests="3" failures="1"/>\' > {checkout.cache}/results/unit.xml; exit 1')
    result = command._run(PART, checkout, [], Screen())
    assert (result.passed, result.failed) == (2, 1)


def test_arguments_reach_the_session(checkout: Checkout) -> None:
    nox(checkout, 'test "$*" = "--session unit -- -k cpu"')
    assert command._run(PART, checkout, ["-k", "cpu"], Screen()).ok


def test_the_parts_of_two_systems_have_their_own_sessions_and_results(checkout: Checkout) -> None:
    checkout.result("new-modular/other_systems").write_text('<testsuite tests="7"/>', encoding="utf-8")
    new = checkout.result("new/other_systems")
    nox(checkout, f'echo \'<testsuite tests="2"/>\' > {new}; echo "$*"')
    part = command.Part("other_systems", "tests on another system", system="new")
    result = command._run(part, checkout, ["-k", "cpu"], Screen())
    assert (result.name, result.passed) == ("new/other_systems", 2)
    assert checkout.results("new-modular/other_systems")
    log = checkout.log("new/other_systems").read_text(encoding="utf-8")
    assert log.splitlines()[-1] == "--session other_systems -- --hypervisor=new -k cpu"


def test_every_system_of_a_usual_run_is_a_part_of_it() -> None:
    assert [part.system for part in command.PARTS if part.usual and part.system] == list(systems.USUAL)


def test_a_part_that_breaks_off_is_a_failure_of_this_part(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("what nobody thought of")

    monkeypatch.setattr(command, "run", breaks)
    result = command._run(PART, checkout, [], Screen())
    assert (result.failed, result.problems) == (1, ["unit broke off: RuntimeError('what nobody thought of')"])
    assert "Traceback" in capfd.readouterr().out


def test_every_part_is_a_session() -> None:
    noxfile = (Path(__file__).resolve().parents[3] / "noxfile.py").read_text(encoding="utf-8")
    assert [part.name for part in command.PARTS if f"@session\ndef {part.name}(" not in noxfile] == []


def test_the_list_names_parts_and_systems(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert [name for name in (*systems.SYSTEMS, *(part.name for part in command.PARTS)) if name not in listed] == []
