# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements as tables of Markdown: printed, and written into the documentation."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import archive
from .contenders import BARE, CONTENDERS, OURS, RETURN_VMS
from .profiles import CONTROLLER, HYPERVISOR
from .workloads import CHECKED, CLONED, DEFINED, FLEET_RUNNING, FLEET_STARTED, RUNNING, STARTED

PAGE = Path("docs") / "benchmarks.md"
PLOT = Path("docs") / "images" / "benchmarks.svg"

Results = Mapping[str, Any]
Rows = Sequence[Sequence[str]]

_TITLES = {
    STARTED: "start",
    CLONED: "create linked clones and start",
    RUNNING: "run that changes nothing",
    CHECKED: "check mode, nothing to change",
    FLEET_STARTED: "start, %d hypervisors",
    FLEET_RUNNING: "run that changes nothing, %d hypervisors",
}
_PROFILED = {
    STARTED: "a start",
    RUNNING: "a run that changes nothing",
    DEFINED: "check mode of VMs that are off",
}
# Stands for an operation that a contender does not support, and for a floor that is not measured.
_NONE = "–"


def as_text(results: Results) -> str:
    """Return all tables."""
    parts = [
        _machine(results),
        times(results),
        _growth(results),
        _single(results),
        _imports(results),
        _memory(results),
        _archives(results),
        _parts(results),
        _profile(results, STARTED, HYPERVISOR),
        _libvirt_calls(results),
        _profile(results, RUNNING, HYPERVISOR),
        _profile(results, RUNNING, CONTROLLER),
        _profile(results, DEFINED, HYPERVISOR),
        _profile(results, DEFINED, CONTROLLER),
        _simulated(results),
        _targets(results),
    ]
    return "\n\n".join(parts)


def write_docs(root: Path, results: Results, plot: Path) -> None:
    """Write tables and plot into the documentation: between the marks of the page, and of README if it has any."""
    (root / PLOT).parent.mkdir(exist_ok=True)
    shutil.copyfile(plot, root / PLOT)
    picture = "![Time against the number of VMs, and of hypervisors](%s)"
    scale = "All axes are logarithmic: what grows in step with the number is a straight line."
    _replace(root / PAGE, "\n\n".join([as_text(results), picture % PLOT.relative_to(PAGE.parent), scale]))
    readme = [times(results), _targets(results), _machine(results), picture % PLOT]
    _replace(root / "README.md", "\n\n".join(readme))


def _replace(path: Path, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    marks = r"(<!-- benchmarks: begin -->\n).*?(\n<!-- benchmarks: end -->)"
    path.write_text(re.sub(marks, lambda found: f"{found[1]}{text}{found[2]}", before, flags=re.S), encoding="utf-8")


def times(results: Results) -> str:
    """Return the times of all contenders with the most VMs, and their ratios to those of zstack.kvm."""
    rows = []
    for workload, title in _TITLES.items():
        most = max(each["vms"] for each in results["measured"] if each["workload"] == workload)
        found = {
            each["contender"]: each["median"]
            for each in results["measured"]
            if (each["workload"], each["vms"]) == (workload, most)
        }
        own = found[OURS.name]
        shown = [_time(found.get(contender.name), own, contender.name == OURS.name) for contender in CONTENDERS]
        rows.append([title % results["sizes"]["hosts"] if "%" in title else title, str(most), *shown])
    return _table(["", "VMs", *(contender.name for contender in CONTENDERS)], rows)


def _time(seconds: float | None, own: float, is_own: bool) -> str:
    if seconds is None:
        return _NONE
    return f"{seconds:.2f} s" if is_own else f"{seconds:.2f} s ({seconds / own:.2f} ×)"


def _machine(results: Results) -> str:
    what = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    count, long = results["sizes"]["repetitions"], results["sizes"]["long"]
    rounds = f"Medians of {count} rounds; a time of {long:.0f} s or more was measured once."
    return f"Taken on {results['date']}: {what}. {rounds}"


def _growth(results: Results) -> str:
    medians = {
        (each["vms"], each["contender"]): each["median"] for each in results["measured"] if each["workload"] == DEFINED
    }
    names = [contender.name for contender in (BARE, RETURN_VMS, OURS)]
    rows = [
        [str(vms), *(f"{medians[vms, name]:.2f} s" for name in names)]
        for vms in sorted({vms for vms, _contender in medians})
    ]
    return _table(["VMs that are off, in check mode", *names], rows)


def _single(results: Results) -> str:
    rows = [[what, f"{1000 * seconds:.2f} ms"] for what, seconds in results["seconds_for_a_vm"].items()]
    return _table([f"one VM, of {results['sizes']['compared']}", "time"], rows)


def _imports(results: Results) -> str:
    rows = [[what, _milliseconds(seconds)] for what, seconds in results["seconds_to_import"].items()]
    return _table(["importing in a task", "time"], rows)


def _memory(results: Results) -> str:
    rows = [[what, f"{kib / 1024:.0f} MiB"] for what, kib in results["memory_kib"].items()]
    return _table(["the module's process", "memory"], rows)


def _archives(results: Results) -> str:
    rows = [
        [module, str(found["files"]), f"{found['bytes'] / 1024:.0f} KiB", f"{found['cpu_seconds']:.2f} s"]
        for module, found in results["archives"].items()
    ]
    return _table(["the archive that Ansible sends", "files", "size", "CPU to build it, once a run"], rows)


def _parts(results: Results) -> str:
    parts = results["archives"][archive.OURS]["parts"]
    rows = [[name, str(part["files"]), f"{part['bytes'] / 1024:.0f} KiB"] for name, part in parts.items()]
    return _table([f"in the archive of {archive.OURS}", "files", "compressed"], rows)


def _profile(results: Results, workload: str, side: str) -> str:
    profiles = results["seconds_in_profiles"][workload][side]
    categories = next(iter(profiles.values()))
    rows = [[what, *(_milliseconds(profile[what]) for profile in profiles.values())] for what in categories]
    rows.append(["together", *(_milliseconds(sum(profile.values())) for profile in profiles.values())])
    return _table([f"on the {side}, in {_PROFILED[workload]}", *profiles], rows)


def _libvirt_calls(results: Results) -> str:
    contenders = results["seconds_in_libvirt_calls"]
    methods = dict.fromkeys(method for seconds in contenders.values() for method in sorted(seconds))
    rows = [[name, *(_called(seconds.get(name)) for seconds in contenders.values())] for name in methods]
    rows.append(["together", *(_called(sum(seconds.values())) for seconds in contenders.values())])
    return _table(["a start's threads, added up, in calls of libvirt", *contenders], rows)


def _called(seconds: float | None) -> str:
    return _NONE if seconds is None else _milliseconds(seconds)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _simulated(results: Results) -> str:
    rows = [
        [
            str(cost["hosts"]),
            cost["what"],
            f"{cost['seconds']:.1f} s",
            f"{cost['cpu_seconds']:.1f} s",
            f"{cost['memory_kib'] / 1024:.0f} MiB",
        ]
        for cost in results["simulated"]
    ]
    vms = results["sizes"]["vms_of_a_simulated_host"]
    return _table([f"simulated hypervisors with {vms} VMs each", "", "time", "CPU", "memory"], rows)


def _targets(results: Results) -> str:
    rows = []
    for target in results["targets"]:
        sign = "≥" if target["at_least"] else "≤"
        values = [f"{target[name]:.2f}{target['unit']}" for name in ("measured", "limit")]
        floor = _NONE if target["floor"] is None else f"{target['floor']:.2f}{target['unit']}"
        rows.append([target["what"], values[0], f"{sign} {values[1]}", "yes" if target["met"] else "no", floor])
    return _table(["target", "measured", "limit", "met", "floor"], rows)


def _table(header: Sequence[str], rows: Rows) -> str:
    lines = [header, ["---"] * len(header), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)
