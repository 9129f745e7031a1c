# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity, without containers and without a download from outside of the package index."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .checkout import Checkout
from .process import Outcome, run
from .result import Result
from .screen import Screen
from .stage import staged

SECONDS = 900

# To bring pip into an empty virtual environment ansible-test fetches this script from a server of its own, unless the
# script is in its cache already. Python has pip with it.
GET_PIP = '''\
"""Installs pip, and the packages named in the arguments, from what Python brings and the package index."""
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip"])
wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--no-")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted]))
'''
GET_PIP_VERSIONS = ("24_2", "25_2", "25_3")

PYTHON_MISSING = re.compile(r"^WARNING: Skipping .+ on Python (\S+) because it could not be found", re.MULTILINE)
PROGRAM_MISSING = re.compile(r'^WARNING: Required program "(.+)" not found', re.MULTILINE)


def sanity(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """All sanity tests on every file; each of them counts as one test, unless there is no file for it."""
    outcome = counted(checkout, result, ["sanity", "--junit", *arguments], skip_fails=False)
    for program in sorted(set(PROGRAM_MISSING.findall(outcome.output))):
        result.problem(f"{program} is missing, so ansible-test left a test out")
    pythons = sorted(set(PYTHON_MISSING.findall(outcome.output)), key=lambda version: int(version.split(".")[1]))
    if pythons:
        result.screen.line(f"Not on Python {', '.join(pythons)}: ./run-tests versions tries what the machine has")


def counted(checkout: Checkout, result: Result, arguments: list[str], skip_fails: bool) -> Outcome:
    """Runs ansible-test and counts what it reports."""
    reports = checkout.stage / "tests" / "output" / "junit"
    shutil.rmtree(reports, ignore_errors=True)
    outcome = ansible_test(checkout, arguments, result.name, result.screen)
    result.junit(sorted(reports.glob("*.xml")), outcome, skip_fails)
    return outcome


def prime(checkout: Checkout) -> Outcome:
    """Makes the virtual environments that ansible-test runs its tests in, unless they are there."""
    return ansible_test(checkout, ["sanity", "--prime-venvs"], "setup", Screen(), quiet=True)


def ansible_test(checkout: Checkout, arguments: list[str], log: str, screen: Screen, quiet: bool = False) -> Outcome:
    """Runs ansible-test in the copy of the project's files."""
    stage = staged(checkout)
    _provide_get_pip(checkout.home)
    env = checkout.environment(HOME=str(checkout.home), **_pip_configuration())
    command = [checkout.program("ansible-test"), *arguments, "--color", "no"]
    file = checkout.log(log)
    return run(command, cwd=stage, env=env, log=file, seconds=SECONDS, screen=screen, quiet=quiet)


def _provide_get_pip(home: Path) -> None:
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in GET_PIP_VERSIONS:
        (cache / f"get_pip_{version}.py").write_text(GET_PIP)


def _pip_configuration() -> dict[str, str]:
    """The user's own settings for pip, which another HOME would hide."""
    for path in (Path.home() / ".config" / "pip" / "pip.conf", Path.home() / ".pip" / "pip.conf"):
        if path.exists():
            return {"PIP_CONFIG_FILE": str(path)}
    return {}
