# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure times: the contenders one after another in each round, starting each round with another one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .contenders import Contender
from .hypervisors import Hypervisors
from .sizes import Sizes


@dataclass
class Measured:
    """The seconds that a contender took in each round. `vms` counts those of all hosts together."""

    workload: str
    contender: str
    vms: int
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the time that is reported."""
        return statistics.median(self.seconds)


def in_rounds(
    workload: str,
    operation: str,
    hypervisors: Hypervisors,
    contenders: Sequence[Contender],
    vms: int,
    sizes: Sizes,
    after: Callable[[], None] = lambda: None,
) -> list[Measured]:
    """Measure the contenders that support the operation; `after` is called after each measurement."""
    able = [contender for contender in contenders if operation in contender.operations]
    measured = [Measured(workload, contender.name, vms) for contender in able]
    for turn in range(sizes.repetitions):
        for number in range(len(able)):
            index = (turn + number) % len(able)
            seconds = measured[index].seconds
            if seconds and seconds[0] >= sizes.long:
                continue
            begun = time.perf_counter()
            able[index].do(operation, hypervisors)
            seconds.append(time.perf_counter() - begun)
            after()
    for each in measured:
        print(f"  {workload:12} {each.contender:28} {each.vms:5} VMs {each.median:8.2f} s", flush=True)
    return measured
