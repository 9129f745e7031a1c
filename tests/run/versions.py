# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the collection on every ansible-core and target Python that it promises, as far as the machine has them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from . import pythons, real, sanity
from .checkout import Checkout
from .result import Result
from .setup import Setup, SetupError


@dataclass(frozen=True)
class Supported:
    """The Pythons on which an ansible-core runs, and those of the machines that it manages."""

    controllers: tuple[str, ...]
    targets: tuple[str, ...]


# What meta/runtime.yml and tests/config.yml promise, and what the makers of ansible-core support.
CORES = {
    "2.19": Supported(("3.11", "3.12", "3.13"), ("3.9", "3.10", "3.11", "3.12", "3.13")),
    "2.20": Supported(("3.12", "3.13", "3.14"), ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")),
    "2.21": Supported(("3.12", "3.13", "3.14"), ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")),
}
TARGETS = CORES["2.21"].targets

# What is run on them: VMs that start, boot, and are left alone by the next run; beyond that, of an ansible-core the
# playbooks and the role, and of a target's Python the other modules.
VMS = "test_start_vm.py"
TESTS_OF_CORES = (VMS, "test_playbook_check_mode.py", "test_stop_playbook.py", "test_host_prerequisites.py")
SOURCE = "test_agent_api_source.py"
TESTS_OF_TARGETS = (VMS, "test_host_info.py", "test_vm_info.py", "test_stop_vm.py")


def versions(checkout: Checkout, result: Result, arguments: list[str]) -> None:
    """Sanity, units and playbooks with each ansible-core; playbooks on each target Python."""
    found = pythons.find(TARGETS)
    result.notes += [f"Python {version}: not on this machine" for version in TARGETS if version not in found]
    setup = Setup(checkout)
    cores = _cores(checkout, result, setup, found)
    targets = _targets(checkout, result, setup, found)
    for core, tools in cores.items():
        _ansible_test(core, tools, result, [version for version in CORES[core].targets if version in found])
    aiohttp = _lowest_aiohttp(checkout, result, setup, found)
    with real.laboratory(checkout, result) as hypervisors:
        if not hypervisors:
            return
        inside = hypervisors[0]
        for core, tools in cores.items():
            with _told(result, f"ansible-core {core}: playbooks"):
                real.pytest(tools, result, f"versions-core-{core}", inside, _paths(TESTS_OF_CORES, arguments), False)
        for version, tools in aiohttp.items():
            with _told(result, f"aiohttp {version}: the event source of the agent API"):
                real.pytest(tools, result, f"versions-aiohttp-{version}", inside, _paths((SOURCE,), arguments), False)
        for version, python in targets.items():
            with _told(result, f"Python {version} on the target: playbooks"):
                name, variables = f"versions-python-{version}", {"ZSTACK_KVM_TARGET_PYTHON": str(python)}
                real.pytest(checkout, result, name, inside, _paths(TESTS_OF_TARGETS, arguments), False, **variables)


def _paths(tests: tuple[str, ...], arguments: list[str]) -> list[str]:
    return [*(f"{real.TESTS}/{name}" for name in tests), *arguments]


def _cores(checkout: Checkout, result: Result, setup: Setup, found: dict[str, Path]) -> dict[str, Checkout]:
    """The checkout with an environment of each ansible-core."""
    programs = checkout.cache / "versions" / "bin"
    shutil.rmtree(programs, ignore_errors=True)
    programs.mkdir(parents=True)
    for version, program in found.items():
        (programs / f"python{version}").symlink_to(program)
    cores = {}
    for core, supported in CORES.items():
        python = next((version for version in supported.controllers if version in found), "")
        if not python:
            result.notes.append(f"ansible-core {core}: needs Python {' or '.join(supported.controllers)}, not here")
            continue
        tools = replace(checkout, environment_name=f"versions/core-{core}", first_in_path=str(programs))
        requirements = ["-r", "tests/requirements-pytest.txt", f"ansible-core=={core}.*"]
        what = f"ansible-core {core}, Python {python}"
        if _made(result, setup, what, tools.venv, found[python], requirements):
            cores[core] = tools
    return cores


def _lowest_aiohttp(checkout: Checkout, result: Result, setup: Setup, found: dict[str, Path]) -> dict[str, Checkout]:
    """The checkout with an environment of the lowest aiohttp that the event source promises to work with."""
    python = min(CORES["2.19"].controllers)
    if python not in found:
        result.notes.append(f"the lowest aiohttp: needs Python {python}, not here")
        return {}
    promised = (checkout.root / "extensions/eda/requirements.txt").read_text(encoding="utf-8")
    version = re.findall(r"^aiohttp>=([0-9.]+)", promised, re.MULTILINE)[0]
    tools = replace(checkout, environment_name=f"versions/aiohttp-{version}")
    requirements = ["-r", "tests/requirements-pytest.txt", f"aiohttp=={version}"]
    what = f"aiohttp {version}, Python {python}"
    return {version: tools} if _made(result, setup, what, tools.venv, found[python], requirements) else {}


def _targets(checkout: Checkout, result: Result, setup: Setup, found: dict[str, Path]) -> dict[str, Path]:
    """A Python of each version that has what the collection needs on a hypervisor."""
    targets = {}
    for version, python in found.items():
        folder = checkout.cache / "versions" / f"target-{version}"
        if _made(result, setup, f"Python {version} of a hypervisor", folder, python, ["libvirt-python", "lxml"]):
            targets[version] = folder / "bin" / "python"
    return targets


def _made(result: Result, setup: Setup, what: str, folder: Path, python: Path, requirements: list[str]) -> bool:
    """Whether an environment could be made; one that could not is a problem, and the others are run all the same."""
    try:
        setup.virtual_environment(what, folder, str(python), requirements)
    except SetupError as error:
        result.problem(f"{what}: {error}")
        return False
    return True


def _ansible_test(core: str, tools: Checkout, result: Result, targets: list[str]) -> None:
    with _told(result, f"ansible-core {core}: sanity"):
        sanity.counted(tools, result, ["sanity", "--junit"], skip_fails=False)
    for version in targets:
        with _told(result, f"ansible-core {core}: units on Python {version}"):
            sanity.counted(tools, result, ["units", "--venv", "--python", version], skip_fails=True)


@contextmanager
def _told(result: Result, what: str) -> Iterator[None]:
    """Shows what begins, and notes what came of it."""
    print(f"\n--- {what}", flush=True)
    passed, failed = result.passed, result.failed
    yield
    result.notes.append(f"{what}: {result.passed - passed} passed, {result.failed - failed} failed")
