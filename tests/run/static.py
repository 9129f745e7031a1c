# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that read the sources: types, style, documentation, ansible-lint."""

from __future__ import annotations

from .checkout import Checkout
from .process import run
from .result import Result
from .stage import staged

SECONDS = 900
TYPED_PACKAGES = ("extensions", "plugins", "tests.run", "tests.support", "tools.docs.website", "tools.quickstart")
TYPED_FOLDERS = ("tools/guest", "tools/lab")


def types(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """mypy over what is imported by its full name and over the tools that stand alone, ruff over everything."""
    mypy = checkout.program("mypy")
    packages = [word for name in TYPED_PACKAGES for word in ("-p", f"ansible_collections.zstack.kvm.{name}")]
    commands = {
        "ruff": [checkout.program("ruff"), "check", "."],
        "ruff format": [checkout.program("ruff"), "format", "--check", "."],
        "mypy": [mypy, *packages],
        "mypy of the tools": [mypy, *TYPED_FOLDERS],
        "mypy of the benchmarks": [mypy, "-p", "tests.benchmarks"],
    }
    env = checkout.environment(MYPYPATH=":".join([str(checkout.collections), *TYPED_FOLDERS]))
    _checks(checkout, result, commands, arguments, "types", env, in_copy=False)


def docs(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """What users read: the plugins' documentation, its references, the changelog, the site of all of it."""
    antsibull_docs = ["lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "--validate-collection-refs=all", "."]
    commands = {
        "antsibull-docs": [checkout.program("antsibull-docs"), *antsibull_docs],
        "antsibull-changelog": [checkout.program("antsibull-changelog"), "lint"],
        "site": [checkout.program("python"), "-m", "tools.docs.website"],
    }
    _checks(checkout, result, commands, arguments, "docs", checkout.environment())


def lint(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """ansible-lint as .ansible-lint configures it."""
    commands = {"ansible-lint": [checkout.program("ansible-lint"), "--nocolor"]}
    _checks(checkout, result, commands, arguments, "lint", checkout.environment())


def _checks(
    checkout: Checkout,
    result: Result,
    commands: dict[str, list[str]],
    arguments: list[str],
    log: str,
    env: dict[str, str],
    in_copy: bool = True,
) -> None:
    folder = staged(checkout) if in_copy else checkout.root
    for name, command in commands.items():
        result.screen.line(f"$ {name}")
        words, file = [*command, *arguments], checkout.log(log)
        result.check(name, run(words, cwd=folder, env=env, log=file, seconds=SECONDS, screen=result.screen))
