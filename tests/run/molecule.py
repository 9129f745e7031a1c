# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The molecule scenarios, as many at once as there are CPUs; one that fails does not stop another."""

from __future__ import annotations

import re

from .checkout import Checkout
from .process import Outcome, run
from .result import Result
from .screen import Screen
from .side_by_side import side_by_side

SECONDS = 600
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RECAP = re.compile(r"^(\S+) +: actions=\d+ +successful=(\d+) .*\bfailed=(\d+)", re.MULTILINE)


def molecule(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """Runs `molecule test` for every scenario, or with the arguments; each of its actions counts as one test."""
    names = sorted(path.parent.name for path in checkout.root.glob("molecule/*/molecule.yml"))

    def test(name: str) -> Outcome:
        return _test(checkout, f"molecule-{name}", ["--scenario-name", name], Screen(name))

    if arguments:
        _count(result, " ".join(arguments), _test(checkout, "molecule", arguments, result.screen))
    else:
        for name, outcome in zip(names, side_by_side(test, names)):
            _count(result, name, outcome)
    if not result.passed and not result.failed:
        result.problem("no scenario ran")


def _test(checkout: Checkout, log: str, words: list[str], screen: Screen) -> Outcome:
    checkout.log(log).unlink(missing_ok=True)
    return run(
        [checkout.program("molecule"), "test", "--no-command-borders", *words],
        cwd=checkout.root,
        env=checkout.environment(),
        log=checkout.log(log),
        seconds=SECONDS,
        screen=screen,
    )


def _count(result: Result, name: str, outcome: Outcome) -> None:
    failed_before = result.failed
    for scenario, successful, failed in RECAP.findall(COLOUR.sub("", outcome.output)):
        result.passed += int(successful)
        result.failed += int(failed)
        if int(failed):
            result.problems.append(f"{scenario}: {failed} failed")
    if not outcome.ok and result.failed == failed_before:
        result.problem(f"{name}: {outcome.reason}")
