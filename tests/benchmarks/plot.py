# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plot time against number of VMs, as SVG.

    python -m tests.benchmarks.plot RESULTS.json PLOT.svg

Both axes are logarithmic: linear growth is a straight line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from .contenders import CONTENDERS  # noqa: E402
from .workloads import DEFINED, RUNNING, STARTED  # noqa: E402

COLOURS = ("#6b7280", "#d97706", "#c4b5fd", "#2563eb", "#dc2626")
# How the lines of a workload are drawn, and what it is called.
STYLES: dict[str, tuple[Any, str]] = {
    STARTED: ("solid", "start"),
    RUNNING: ("dashed", "run that changes nothing"),
    DEFINED: ("dotted", "check mode, VMs that are off"),
}


def plot(results: Mapping[str, Any], path: Path) -> None:
    """Write the plot of what was measured."""
    # The same results give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "zstack.kvm", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    for workload, (style, _title) in STYLES.items():
        for contender, colour in zip(CONTENDERS, COLOURS):
            points = [
                (each["vms"], each["median"])
                for each in results["measured"]
                if (each["workload"], each["contender"]) == (workload, contender.name)
            ]
            if points:
                axes.loglog(*zip(*points), color=colour, linestyle=style, marker="o", markersize=4)
    axes.grid(color="#e5e7eb")
    axes.set(xlabel="VMs", ylabel="seconds")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    contenders = [Line2D([], [], color=colour, label=each.name) for each, colour in zip(CONTENDERS, COLOURS)]
    workloads = [Line2D([], [], color="black", linestyle=style, label=title) for style, title in STYLES.values()]
    figure.legend(handles=[*contenders, *workloads], loc="outside right upper", frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    plot(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
