# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that run real libvirt and QEMU: in laboratory hypervisors, so that this machine's own are left alone."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from .checkout import Checkout
from .process import Outcome, run
from .result import Result

INTEGRATION_SECONDS = 2700
LAB_SECONDS = 120
TESTS = "tests/integration"
NO_TESTS = "exit code 5"  # pytest's, when none was chosen


def integration(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """The integration tests: those marked `outside` on this machine, the others in hypervisors of their own.

    There is a hypervisor for each CPU. Files of tests are given to them one by one, as each gets free.
    """
    at_once = min(os.cpu_count() or 1, 4)
    with laboratory(checkout, result, at_once) as hypervisors:
        if hypervisors:
            workers = [word for inside in hypervisors for word in ("--tx", _worker(checkout, inside))]
            # A hypervisor has a /tmp of its own; the checkout is the same everywhere.
            spread = [*workers, "--dist", "loadfile", "--basetemp", str(checkout.cache / "tmp")]
            chosen = [*spread, TESTS, "-m", "not outside", *arguments]
            pytest(checkout, result, "integration-inside", [], chosen, bool(arguments))
    spread = ["--numprocesses", str(at_once), "--dist", "loadfile", "--no-loadscope-reorder"]
    pytest(checkout, result, "integration-outside", [], [*spread, TESTS, "-m", "outside", *arguments], bool(arguments))
    if not result.passed and not result.failed:
        result.problem("no test ran")


def _worker(checkout: Checkout, inside: list[str]) -> str:
    """What pytest-xdist calls a worker whose Python runs in a hypervisor."""
    return f"popen//python={shlex.join([*inside, checkout.program('python')])}"


@contextmanager
def laboratory(checkout: Checkout, result: Result, hosts: int = 1) -> Iterator[list[list[str]]]:
    """Starts hypervisors; gives for each the beginning of commands that run in it, or nothing if they did not start."""
    lab = str(checkout.root / "tools" / "lab" / "lab")
    place = ["--dir", f"/var/lib/zstack-kvm-tests-{hashlib.sha256(str(checkout.root).encode()).hexdigest()[:8]}"]

    def call(*words: str) -> Outcome:
        command = [lab, *words]
        env, log = checkout.environment(), checkout.log(result.name)
        return run(command, cwd=checkout.root, env=env, log=log, seconds=LAB_SECONDS, screen=result.screen)

    call("down", *place)  # what an earlier run may have left when it was killed
    try:
        stand_ins = str(checkout.root / "tests" / "support" / "path")
        up = call("up", *place, "--hosts", str(hosts), "--network", "free", "--path-first", stand_ins)
        if not up.ok:
            result.problem(f"the laboratory: {up.reason}")
        yield [[lab, "exec", *place, f"hv{number}", "--"] for number in range(1, hosts + 1)] if up.ok else []
    finally:
        down = call("down", *place)
        if not down.ok:
            result.problem(f"the laboratory: {down.reason}")


def pytest(
    checkout: Checkout,
    result: Result,
    name: str,
    inside: list[str],
    arguments: list[str],
    may_be_none: bool,
    **variables: str,
) -> None:
    """Runs the integration tests, with the beginning of the command that `inside` is.

    With `may_be_none` it is no failure that the arguments choose none.
    """
    junit = checkout.result(name)
    command = [checkout.program("pytest"), "--verbose", "--durations=40", f"--junit-xml={junit}", *arguments]
    outcome = run(
        [*inside, *command],
        cwd=checkout.root,
        env=checkout.environment(**variables),
        log=checkout.log(result.name),
        seconds=INTEGRATION_SECONDS,
        screen=result.screen,
    )
    if may_be_none and outcome.reason.endswith(NO_TESTS):
        return
    result.junit([path for path in [junit] if path.exists()], outcome)
