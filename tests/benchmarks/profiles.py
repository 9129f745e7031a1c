# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of tasks, taken by py-spy: how long the controller and the module work on what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from . import module_process, py_spy
from .contenders import Playbook
from .hypervisors import Hypervisors

CONTROLLER, HYPERVISOR = "controller", "hypervisor"
# A sampled stack belongs to the first category whose text it contains.
Categories = Sequence[tuple[str, str]]
CATEGORIES: Mapping[str, Categories] = {
    CONTROLLER: (
        ("archive: parsing the sources", "_compile_module_ast ("),
        ("archive: finding what they import", "ModuleDepFinder."),
        ("archive: finding what they import", "ModuleUtilLocator"),
        ("archive: the rest, compressing for instance", "/module_common.py:"),
        ("the rest of Ansible", ""),
    ),
    HYPERVISOR: (
        ("compiling the archive's modules for their file names", "get_filename (<frozen zipimport>"),
        ("compiling them again to run them", "_compile_source ("),
        ("importing libvirt-python, lxml and other C libraries", "ExtensionFileLoader."),
        ("importing libvirt-python, lxml and other C libraries", "<module> (/usr/lib/python3/dist-packages/"),
        ("the rest of importing", "<frozen importlib"),
        ("Ansible's arguments and result", "/ansible/module_utils/basic.py:"),
        ("reading the options", "/module_utils/_spec/"),
        ("building domains", "/module_utils/_domain/"),
        ("comparing domains", "/module_utils/_drift/"),
        ("searching for conflicts", "/module_utils/_start/conflicts.py:"),
        ("calling libvirt", "call_with_deadline"),
        ("calling libvirt", "_idle_thread"),
        ("the rest of the module", "/ansible_collections/zstack/kvm/"),
        ("the rest of Ansible and Python", ""),
    ),
}
# The module's threads take turns in running Python code; one that could run if it were its turn does not count.
_OPTIONS = {CONTROLLER: "--subprocesses", HYPERVISOR: "--gil"}
# Of the module's process: the time in which none of its threads runs Python code
WAITING = "waiting for libvirt and files, and starting Python"


def profiles(
    tasks: Sequence[Playbook],
    hypervisors: Hypervisors,
    rounds: int,
    *arguments: str,
    sides: Sequence[str] = (CONTROLLER, HYPERVISOR),
    after: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the seconds of one run, by side, task and category; WAITING is what is left of the module's process.

    HYPERVISOR is always among the sides. `after` is called after each run.
    """
    runs = []
    for _round in range(rounds):
        for task in tasks:
            runs.append((task.name, _profile(task, hypervisors, arguments, sides)))
            after()
    return {
        side: {task.name: _mean([run[side] for name, run in runs if name == task.name]) for task in tasks}
        for side in sides
    }


def _profile(
    task: Playbook, hypervisors: Hypervisors, arguments: Sequence[str], sides: Sequence[str]
) -> dict[str, dict[str, float]]:
    files = {side: hypervisors.directory / f"samples-of-{side}" for side in sides}
    profilers = {side: py_spy.record(hypervisors, files[side], _OPTIONS[side]) for side in sides}
    process = module_process.of_task(
        task,
        hypervisors,
        *arguments,
        profiler=profilers[HYPERVISOR],
        of_controller=profilers.get(CONTROLLER, ()),
    )
    run = {side: by_category(files[side].read_text(encoding="utf-8"), CATEGORIES[side]) for side in sides}
    run[HYPERVISOR][WAITING] = process.seconds - sum(run[HYPERVISOR].values())
    return run


def by_category(samples: str, categories: Categories) -> dict[str, float]:
    """Return the seconds of each category."""
    seconds = {category: 0.0 for category, _text in categories}
    for stack, duration in py_spy.stacks(samples):
        seconds[next(category for category, text in categories if text in stack)] += duration
    return seconds


def _mean(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {category: sum(run[category] for run in runs) / len(runs) for category in runs[0]}
