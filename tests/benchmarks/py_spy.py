# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""py-spy, which samples the stacks of a Python process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .hypervisors import Hypervisors

# py-spy stops the process for each sample, so a higher rate would slow it down more. Without stopping it, py-spy loses
# samples, because the stacks change while it reads them.
SAMPLES_PER_SECOND = 100


def record(hypervisors: Hypervisors, output: Path, *options: str) -> list[str]:
    """Return the beginning of a command whose samples go to the file."""
    common = ["--rate", str(SAMPLES_PER_SECOND), "--full-filenames", "--format", "raw"]
    return [hypervisors.checkout.program("py-spy"), "record", *common, *options, "--output", str(output), "--"]


def stacks(samples: str) -> Iterator[tuple[str, float]]:
    """Yield each stack, outermost frame first, and its seconds."""
    for line in samples.splitlines():
        stack, _space, count = line.rpartition(" ")
        yield stack, int(count) / SAMPLES_PER_SECOND
