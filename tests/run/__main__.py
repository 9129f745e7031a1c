# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the project's tests, all or some of them, and says what came out."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import traceback
from pathlib import Path

from .checkout import Checkout
from .lock import alone
from .parts import PARTS, Part
from .process import interrupt_on_signals
from .result import Result, table
from .screen import Screen
from .setup import Setup, SetupError
from .side_by_side import side_by_side

RULE = "=" * 78


def main(arguments: list[str]) -> int:
    """Runs what the arguments name and returns the exit code."""
    own, further = _split(arguments)
    options = _parser().parse_args(own)
    if options.list:
        for part in PARTS:
            print(f"{part.name:12} {part.what}")
        return 0
    unknown = set(options.parts) - {part.name for part in PARTS}
    if unknown:
        _parser().error(f"no such part: {', '.join(sorted(unknown))}; see ./run-tests --list")
    parts = [part for part in PARTS if (part.name in options.parts if options.parts else part.usual)]
    if further and len(parts) != 1:
        _parser().error("what follows -- goes to the tool of one part; name that part alone")
    interrupt_on_signals()
    checkout = Checkout(Path(__file__).resolve().parents[2])
    print(f"zstack.kvm: running {', '.join(part.name for part in parts)}", flush=True)
    started = time.monotonic()
    try:
        print("Set-up", flush=True)
        with alone(checkout, "set-up"):
            Setup(checkout).prepare({need for part in parts for need in part.needs})
    except SetupError as error:
        print(f"\n{error}\n\nFAILED: the machine could not be made ready\n0 passed, 1 failed", flush=True)
        return 1
    set_up = time.monotonic() - started
    started = time.monotonic()
    results = []
    for reads_only, group in itertools.groupby(parts, lambda part: part.reads_only):
        if reads_only:
            results += _run_at_once(list(group), checkout, further)
        else:
            results += [_run(part, checkout, further, Screen()) for part in group]
    return _report(checkout, results, set_up, time.monotonic() - started)


def _run_at_once(parts: list[Part], checkout: Checkout, further: list[str]) -> list[Result]:
    return side_by_side(lambda part: _run(part, checkout, further, Screen(part.name)), parts)


def _run(part: Part, checkout: Checkout, further: list[str], screen: Screen) -> Result:
    screen.line(f"\n{RULE}\n{part.name}: {part.what}\n{RULE}")
    result = Result(part.name, screen=screen)
    with alone(checkout, part.name):
        checkout.log(part.name).unlink(missing_ok=True)
        started = time.monotonic()
        try:
            part.run(checkout, result, further)
        except Exception as error:
            # Whatever it is, the other parts have their results all the same.
            screen.line(traceback.format_exc())
            result.problem(f"{part.name} broke off: {error!r}")
        result.seconds = time.monotonic() - started
    return result


def _report(checkout: Checkout, results: list[Result], set_up: float, tests: float) -> int:
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    print(f"\n{RULE}\n{table(results)}\n")
    print(f"Set-up {set_up:.1f} s, tests {tests:.1f} s; everything printed is in {checkout.cache / 'logs'}")
    print("FAILED" if failed else "PASSED")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(
        prog="./run-tests",
        description="Runs the project's tests. Makes the machine ready for them first (as root: installs packages).",
        epilog="What follows -- goes to the tool of the one part named: ./run-tests unit -- -k cpu",
    )
    help_text = f"one or more of {', '.join(names)}; without any: all but versions"
    parser.add_argument("parts", nargs="*", metavar="PART", help=help_text)
    parser.add_argument("--list", action="store_true", help="show the parts")
    return parser


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        sys.exit(130)
