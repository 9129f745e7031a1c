# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collection side by side with libvirt-python alone, virsh and community.libvirt."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..run.checkout import Checkout
from ..run.lock import alone
from ..run.process import interrupt_on_signals
from ..run.setup import Setup, SetupError
from . import machine, report
from .archive import archives
from .hypervisors import Failed
from .laboratory import laboratory
from .measure import Measured
from .simulated import Cost, simulated
from .sizes import SMOKE, Sizes
from .targets import Target, targets
from .vms import read_json, write_json
from .workloads import Session


def main(arguments: list[str]) -> int:
    """Measure, print and write the results; return 1 if a target is missed."""
    options = _parser().parse_args(arguments)
    sizes = SMOKE if options.smoke else replace(Sizes(), repetitions=options.repetitions)
    checkout = Checkout(Path(__file__).resolve().parents[2])
    directory = options.output or checkout.cache / "benchmarks"
    measure = _simulated_again if options.simulated else _all
    begun = time.monotonic()
    interrupt_on_signals()
    try:
        if not options.no_set_up:
            print("Set-up", flush=True)
            with alone(checkout, "set-up"):
                Setup(checkout).prepare({"hypervisor", "community"})
        print("Measuring", flush=True)
        with alone(checkout, "benchmarks"):
            results = measure(checkout, sizes, directory / "benchmarks.json")
    except (SetupError, Failed) as error:
        print(f"\n{error}\n\nFAILED", flush=True)
        return 2
    results["targets"] = [{**asdict(each), "met": each.met} for each in _targets(results)]
    print(f"\n{report.as_text(results)}\n")
    write_json(directory / "benchmarks.json", results)
    # matplotlib is in the development environment, not in the system's Python.
    files = [str(directory / "benchmarks.json"), str(directory / "benchmarks.svg")]
    program = [checkout.program("python"), "-m", "tests.benchmarks.plot"]
    subprocess.run([*program, *files], cwd=checkout.root, env=checkout.environment(), check=True)
    print(f"{directory}/benchmarks.json, {directory}/benchmarks.svg; {time.monotonic() - begun:.0f} s")
    if options.docs:
        report.write_docs(checkout.root, results, directory / "benchmarks.svg")
    missed = [target for target in results["targets"] if not target["met"]]
    print(f"{len(missed)} of {len(results['targets'])} targets missed" if missed else "All targets are met")
    return 1 if missed and not options.smoke else 0


def _all(checkout: Checkout, sizes: Sizes, _file: Path) -> dict[str, Any]:
    """Return all results but the targets."""
    with laboratory(checkout, sizes.hosts) as (one, fleet):
        sent = archives(checkout, one.directory.parent)
        session = Session(one, fleet, sizes)
        session.run()
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "machine": machine.describe(checkout),
        "sizes": asdict(sizes),
        "measured": [{**asdict(each), "median": each.median} for each in session.measured],
        "memory_kib": session.memory,
        "seconds_for_a_vm": dict(session.compared),
        "seconds_to_import": dict(session.imported),
        "simulated": _simulated(checkout, sizes),
        "archives": {module: asdict(archive) for module, archive in sent.items()},
        "seconds_in_profiles": session.profiles,
        "seconds_in_libvirt_calls": session.libvirt_calls,
    }


def _simulated_again(checkout: Checkout, _sizes: Sizes, file: Path) -> dict[str, Any]:
    """Return the results in a file, with those of simulated hypervisors measured again on the same machine."""
    if not file.exists():
        raise Failed(f"{file} does not exist: without --simulated, all is measured")
    results: dict[str, Any] = read_json(file)
    if results["machine"] != machine.describe(checkout):
        raise Failed(f"{file} is of another machine or other versions: without --simulated, all is measured")
    return {**results, "simulated": _simulated(checkout, Sizes(**results["sizes"]))}


def _simulated(checkout: Checkout, sizes: Sizes) -> list[dict[str, Any]]:
    return [asdict(cost) for cost in simulated(checkout, checkout.cache / "simulated-hosts", sizes)]


def _targets(results: Mapping[str, Any]) -> list[Target]:
    measured = [
        Measured(each["workload"], each["contender"], each["vms"], each["seconds"]) for each in results["measured"]
    ]
    costs = [Cost(**each) for each in results["simulated"]]
    return targets(measured, results["seconds_for_a_vm"], results["memory_kib"], costs, Sizes(**results["sizes"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/benchmarks/run",
        description=__doc__ + " Makes the machine ready for it first (as root: installs packages).",
    )
    one_of = parser.add_mutually_exclusive_group()
    one_of.add_argument("--repetitions", type=int, default=Sizes.repetitions, help="rounds (default: %(default)s)")
    parser.add_argument("--docs", action="store_true", help="write table and plot into the documentation")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where JSON and plot go (.cache/benchmarks)")
    parser.add_argument("--smoke", action="store_true", help="very few VMs: only to see that it works")
    one_of.add_argument("--simulated", action="store_true", help="only simulated hypervisors; other results are kept")
    parser.add_argument("--no-set-up", action="store_true", help="the machine is ready")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        sys.exit(130)
