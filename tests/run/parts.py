# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the test suite, the fastest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import build, molecule, real, sanity, static, versions
from .checkout import Checkout
from .process import run
from .result import Result


@dataclass(frozen=True)
class Part:
    """One part: what it is for, and what runs it.

    Parts that only read the checkout run beside each other. One that is not `usual` runs only when it is named.
    """

    name: str
    what: str
    run: Callable[[Checkout, Result, list[str]], None]
    needs: frozenset[str] = frozenset()
    usual: bool = True
    reads_only: bool = False


def unit(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """The unit tests, by pytest."""
    junit = checkout.result("unit")
    pytest = [checkout.program("pytest"), "--quiet", "--numprocesses=auto", f"--junit-xml={junit}"]
    command = [*pytest, "tests/unit", *arguments]
    env, log = checkout.environment(), checkout.log("unit")
    outcome = run(command, cwd=checkout.root, env=env, log=log, seconds=600, screen=result.screen)
    result.junit([path for path in [junit] if path.exists()], outcome)


def mutation(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """The unit tests of the domain's builders, each time with another part of the builders left out."""
    command = [checkout.program("python"), "-m", "tests.mutation", *arguments]
    outcome = run(
        command,
        cwd=checkout.root,
        env=checkout.environment(PYTHONPATH=str(checkout.collections)),
        log=checkout.log("mutation"),
        seconds=1800,
        screen=result.screen,
    )
    result.check("what builds domains is held by the unit tests", outcome)


SANITY = frozenset({"sanity"})
HYPERVISOR = frozenset({"hypervisor"})
COMMUNITY = frozenset({"community"})

PARTS = (
    Part("unit", "unit tests (pytest)", unit),
    Part("types", "types and style (mypy, ruff)", static.types, reads_only=True),
    Part("docs", "documentation, its site and the changelog (antsibull, Sphinx)", static.docs, reads_only=True),
    Part("build", "the collection as a file: build, install, look inside", build.build, reads_only=True),
    Part("lint", "ansible-lint, profile production", static.lint, reads_only=True),
    Part("sanity", "ansible-test sanity, nothing ignored", sanity.sanity, SANITY, reads_only=True),
    Part("integration", "real libvirt and QEMU, in a laboratory hypervisor", real.integration, HYPERVISOR | COMMUNITY),
    Part("molecule", "molecule scenarios", molecule.molecule, HYPERVISOR),
    Part("mutation", "whether tests notice each missing part of a domain; only when named", mutation, usual=False),
    Part(
        "versions",
        "every ansible-core and Python that is promised; only when named",
        versions.versions,
        HYPERVISOR | {"versions"},
        usual=False,
    ),
)
