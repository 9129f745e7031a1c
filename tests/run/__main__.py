# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepares the machine and runs the project's tests, which are the sessions of noxfile.py."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import systems
from .checkout import Checkout
from .lock import alone
from .process import interrupt_on_signals, run
from .result import Result, table
from .screen import Screen
from .setup import Setup, SetupError
from .side_by_side import side_by_side

RULE = "=" * 78
ABORTED = re.compile(r"^nox > Session \S+ (?:aborted|failed): (.+?)(?: \(took .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A part of the tests: the nox session of its name, what it needs of the machine, and its time limit.

    Parts for which C(shares) is true run side by side, in this order: the longest first. A part that is not C(usual)
    runs only when it is named. C(system): that of its hypervisors, if it is not this machine's.
    """

    name: str
    summary: str
    needs: frozenset[str] = frozenset()
    minutes: float = 15
    usual: bool = True
    shares: bool = False
    system: str = ""

    @property
    def label(self) -> str:
        """Return the name of this part's results, which begins with that of no other part."""
        return f"{self.system}/{self.name}" if self.system else self.name


HYPERVISOR = frozenset({"hypervisor"})

PARTS = (
    Part("unit", "unit tests (pytest)"),
    *(
        Part(
            "other_systems",
            f"chosen integration tests on a hypervisor that runs {system}",
            HYPERVISOR | {system},
            minutes=20,
            shares=True,
            system=system,
        )
        for system in systems.USUAL
    ),
    Part("sanity", "ansible-test sanity, nothing ignored", frozenset({"sanity"}), shares=True),
    Part("lint", "ansible-lint, profile production", shares=True),
    Part("docs", "documentation, its site and the changelog (antsibull, Sphinx)", shares=True),
    Part("build", "the collection as a file: build, install, look inside", shares=True),
    Part("types", "types and style (mypy, ruff)", shares=True),
    Part(
        "integration",
        "real libvirt and QEMU, in laboratory hypervisors",
        HYPERVISOR | {"cloud_image", "community"},
        minutes=60,
    ),
    Part("molecule", "molecule scenarios", HYPERVISOR, minutes=20),
    Part("mutation", "unit tests notice each missing part of a domain; only when named", minutes=30, usual=False),
    Part(
        "fresh_hosts",
        "the role host_prerequisites and the README's commands on minimal installations; only when named",
        HYPERVISOR | {"fresh_hosts", "debian-13-modular"},
        minutes=90,
        usual=False,
    ),
    Part(
        "versions",
        "every ansible-core, Python and system that is supported; only when named",
        HYPERVISOR | {"fresh_hosts", "versions"} | frozenset(systems.SYSTEMS),
        minutes=240,
        usual=False,
    ),
)


def main(arguments: list[str]) -> int:
    """Run what the arguments name, and return the exit code."""
    own, further = _split(arguments)
    options = _parser().parse_args(own)
    if options.list:
        for part in PARTS:
            print(f"{part.name:14} {part.summary}")
        print(f"\nSystems of hypervisors: this machine's own, {', '.join(systems.SYSTEMS)}")
        return 0
    unknown = set(options.parts) - {part.name for part in PARTS}
    if unknown:
        _parser().error(f"no such part: {', '.join(sorted(unknown))}; see ./run-tests --list")
    parts = [part for part in PARTS if (part.name in options.parts if options.parts else part.usual)]
    names = _names(parts)
    needs = frozenset(need for part in parts for need in part.needs)
    if options.hypervisor:
        if names not in (["integration"], ["other_systems"]):
            _parser().error("--hypervisor goes with the part integration or other_systems alone")
        needs = HYPERVISOR | (needs & {"cloud_image"}) | {options.hypervisor}
        parts = [replace(parts[0], system=options.hypervisor)]
    if further and len(names) != 1:
        _parser().error("what follows -- goes to the tool of one part; name that part alone")
    interrupt_on_signals()
    checkout = Checkout(Path(__file__).resolve().parents[2])
    print(f"zstack.kvm: running {', '.join(names)}", flush=True)
    started = time.monotonic()
    try:
        print("Set-up", flush=True)
        with alone(checkout, "set-up"):
            Setup(checkout).prepare(set(needs))
    except SetupError as error:
        print(f"\n{error}\n\nFAILED: the machine could not be made ready\n0 passed, 1 failed", flush=True)
        return 1
    set_up = time.monotonic() - started
    started = time.monotonic()
    results = []
    for shares, group in itertools.groupby(parts, lambda part: part.shares):
        if shares:
            results += _run_at_once(list(group), checkout, further)
        else:
            results += [_run(part, checkout, further, Screen()) for part in group]
    return _report(checkout, results, set_up, time.monotonic() - started)


def _run_at_once(parts: list[Part], checkout: Checkout, further: list[str]) -> list[Result]:
    return side_by_side(lambda part: _run(part, checkout, further, Screen(part.label)), parts)


def _run(part: Part, checkout: Checkout, further: list[str], screen: Screen) -> Result:
    screen.line(f"\n{RULE}\n{part.label}: {part.summary}\n{RULE}")
    result = Result(part.label)
    with alone(checkout, part.label):
        checkout.log(part.label).unlink(missing_ok=True)
        started = time.monotonic()
        try:
            _run_session(part, checkout, further, result, screen)
        except Exception as error:
            # Whatever the error is, the other parts keep their results.
            screen.line(traceback.format_exc())
            result.problem(f"{part.label} broke off: {error!r}")
        result.seconds = time.monotonic() - started
    return result


def _run_session(part: Part, checkout: Checkout, further: list[str], result: Result, screen: Screen) -> None:
    for report in checkout.results(part.label):
        report.unlink()
    nox = [checkout.program("nox"), "--session", part.name]
    if part.system:
        further = [f"--hypervisor={part.system}", *further]
    outcome = run(
        [*nox, "--", *further] if further else nox,
        cwd=checkout.root,
        env=checkout.environment(),
        log=checkout.log(part.label),
        seconds=part.minutes * 60,
        screen=screen,
    )
    reports = checkout.results(part.label)
    if reports:
        # ansible-test skips a test that has nothing to check.
        result.junit(reports, outcome, skip_fails=part.name not in ("sanity", "versions"))
    else:
        aborted = ABORTED.search(outcome.output)
        result.check(part.label, replace(outcome, reason=aborted[1]) if aborted else outcome)


def _report(checkout: Checkout, results: list[Result], set_up: float, tests: float) -> int:
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    print(f"\n{RULE}\n{table(results)}\n")
    print(f"Set-up {set_up:.1f} s, tests {tests:.1f} s; everything printed is in {checkout.cache / 'logs'}")
    print("FAILED" if failed else "PASSED")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run-tests",
        description="Prepare the machine (as root: install packages), and run the project's tests.",
        epilog="What follows -- goes to the tool of the one part named: ./run-tests unit -- -k cpu",
    )
    help_text = f"one or more of {', '.join(_names(PARTS))}; without any: all but those that run only when named"
    parser.add_argument("parts", nargs="*", metavar="PART", help=help_text)
    parser.add_argument("--list", action="store_true", help="show the parts and the systems")
    parser.add_argument(
        "--hypervisor",
        choices=sorted(systems.SYSTEMS),
        metavar="SYSTEM",
        help="the system of the hypervisors of integration or other_systems: " + ", ".join(sorted(systems.SYSTEMS)),
    )
    return parser


def _names(parts: Sequence[Part]) -> list[str]:
    return list(dict.fromkeys(part.name for part in parts))


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    index = arguments.index("--")
    return arguments[:index], arguments[index + 1 :]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        sys.exit(130)
