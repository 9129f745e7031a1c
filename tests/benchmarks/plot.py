# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plot time against the number of VMs, and of simulated hypervisors, as SVG.

    python -m tests.benchmarks.plot RESULTS.json PLOT.svg

All axes are logarithmic: linear growth is a straight line.
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
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from .contenders import CONTENDERS, NOTHING, OURS  # noqa: E402
from .simulated import PING, PLAYBOOK  # noqa: E402
from .workloads import DEFINED, RUNNING, STARTED  # noqa: E402

COLOURS = ("#6b7280", "#86efac", "#d97706", "#c4b5fd", "#93c5fd", "#2563eb", "#dc2626")
# The line style and the title of each workload.
STYLES: dict[str, tuple[Any, str]] = {
    STARTED: ("solid", "start"),
    RUNNING: ("dashed", "run that changes nothing"),
    DEFINED: ("dotted", "check mode, VMs that are off"),
}


def plot(results: Mapping[str, Any], path: Path) -> None:
    """Write the plot of what was measured."""
    # The same results give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "zstack.kvm", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, (of_vms, of_hosts) = pyplot.subplots(1, 2, figsize=(13, 5), layout="constrained", width_ratios=(3, 2))
    colours = {contender.name: colour for contender, colour in zip(CONTENDERS, COLOURS)}
    _plot_vms(of_vms, results, colours)
    _plot_hosts(of_hosts, results, {PLAYBOOK: colours[OURS.name], PING: colours[NOTHING.name]})
    for axes in (of_vms, of_hosts):
        axes.grid(color="#e5e7eb")
        axes.set(ylabel="seconds")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
    contenders = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    workloads = [Line2D([], [], color="black", linestyle=style, label=title) for style, title in STYLES.values()]
    figure.legend(handles=[*contenders, *workloads], loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _plot_vms(axes: Axes, results: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    axes.set(xlabel="VMs of one hypervisor")
    for workload, (style, _title) in STYLES.items():
        for contender, colour in colours.items():
            points = [
                (each["vms"], each["median"])
                for each in results["measured"]
                if (each["workload"], each["contender"]) == (workload, contender)
            ]
            if points:
                axes.loglog(*zip(*points), color=colour, linestyle=style, marker="o", markersize=4)


def _plot_hosts(axes: Axes, results: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    axes.set(xlabel=f"simulated hypervisors with {results['sizes']['vms_of_a_simulated_host']} VMs each")
    for what, colour in colours.items():
        points = [(cost["hosts"], cost["seconds"]) for cost in results["simulated"] if cost["what"] == what]
        axes.loglog(*zip(*points), color=colour, marker="o", markersize=4, label=what)
    axes.legend(frameon=False)


if __name__ == "__main__":
    plot(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
