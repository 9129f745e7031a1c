# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of a start, taken by py-spy: how long its threads, added up, are in which call of libvirt-python."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping

from . import module_process, py_spy
from .contenders import BARE, OURS, START
from .hypervisors import Hypervisors

# A method's name, without what tells one that takes flags from one that takes none
_IN_LIBVIRT = re.compile(r"(\w+?)(?:(?:With)?Flags)? \(/usr/lib/python3/dist-packages/libvirt\.py:")
# A thread of the module is in it all the time.
_EVENT_LOOP = "virEventRunDefaultImpl"


def of_starts(hypervisors: Hypervisors, rounds: int, after: Callable[[], None]) -> dict[str, dict[str, float]]:
    """Return the seconds in calls of one start, by contender and method; `after` is called after each start.

    A method that another one calls is part of that.
    """
    samples = hypervisors.directory / "samples-of-calls"
    # py-spy leaves out threads that wait, and these wait for libvirt.
    profiler = py_spy.record(hypervisors, samples, "--idle")

    def start_bare() -> None:
        BARE.script(START, hypervisors, profiler)

    def start_ours() -> None:
        module_process.of_task(OURS, hypervisors, profiler=profiler)

    taken = {BARE.name: "", OURS.name: ""}
    for _round in range(rounds):
        for name, start in ((BARE.name, start_bare), (OURS.name, start_ours)):
            start()
            taken[name] += samples.read_text(encoding="utf-8")
            after()
    return {
        name: {method: seconds / rounds for method, seconds in by_method(text).items()} for name, text in taken.items()
    }


def by_method(samples: str) -> Mapping[str, float]:
    """Return the seconds in each method of libvirt-python that code outside of it calls."""
    seconds: dict[str, float] = defaultdict(float)
    for stack, duration in py_spy.stacks(samples):
        found = _IN_LIBVIRT.search(stack)
        if found and found[1] != _EVENT_LOOP:
            seconds[found[1]] += duration
    return seconds
