# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of what is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of VMs. The targets are about the last number of each; the others are for the plot.

    `defined` counts VMs that are off, to show how the time of a check grows with them. A contender is measured
    `repetitions` times, but only once if that takes `long` seconds or more, as the longest loops do. `profiled` counts
    the runs that a profile is the mean of.
    """

    started: tuple[int, ...] = (1, 10, 50)
    running: tuple[int, ...] = (1, 10, 100)
    defined: tuple[int, ...] = (100, 300, 1000)
    profiled: int = 5
    compared: int = 1000
    cloned: int = 100
    hosts: int = 8
    vms_of_a_host: int = 5
    simulated_hosts: tuple[int, ...] = (50, 100, 200)
    vms_of_a_simulated_host: int = 20
    repetitions: int = 5
    long: float = 60


# Only to see that everything works.
SMOKE = Sizes(
    (1,),
    (1,),
    (1,),
    profiled=1,
    compared=1,
    cloned=1,
    hosts=1,
    vms_of_a_host=1,
    simulated_hosts=(1,),
    vms_of_a_simulated_host=1,
    repetitions=1,
)
