# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks run without errors. People judge their results, on an otherwise idle machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from lxml import etree

RUN = Path(__file__).resolve().parents[1] / "benchmarks" / "run"
LOOPS = ["virsh in a loop", "community.libvirt in a loop"]
EMPTY = ["a task that does nothing", "zstack.kvm without VMs"]
ALL = ["libvirt-python alone", *EMPTY, "zstack.kvm", *LOOPS]
STARTING = ["libvirt-python alone", "libvirt-python in a task", "zstack.kvm", *LOOPS]


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(RUN), "--smoke", "--no-set-up", "--output", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.outside
@pytest.mark.timeout(900)
def test_all_is_measured_and_written_down(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    measured: dict[str, set[str]] = {}
    for each in results["measured"]:
        assert each["median"] > 0
        measured.setdefault(each["workload"], set()).add(each["contender"])
    assert measured == {
        "start": set(STARTING),
        "clones": {"libvirt-python alone", "zstack.kvm"},
        "unchanged": set(ALL),
        "check": {"libvirt-python alone", "zstack.kvm", "community.libvirt in a loop"},
        "check, off": {"libvirt-python alone", "a module that returns its VMs", "zstack.kvm"},
        "fleet start": set(STARTING),
        "fleet unchanged": set(ALL),
    }
    assert {"read", "build", "compare"} == set(results["seconds_for_a_vm"])
    assert len(results["seconds_to_import"]) == 3
    assert all(seconds > 0 for seconds in results["seconds_to_import"].values())
    assert len(results["memory_kib"]) == 4 and all(kib > 1000 for kib in results["memory_kib"].values())
    assert len(results["archives"]) == 2
    assert all(found["files"] > 10 and found["bytes"] > 10_000 for found in results["archives"].values())
    assert all(found["parts"] for found in results["archives"].values())
    profiles = results["seconds_in_profiles"]
    assert {workload: set(sides["hypervisor"]) for workload, sides in profiles.items()} == {
        "start": {"zstack.kvm"},
        "unchanged": {*EMPTY, "zstack.kvm"},
        "check, off": {"a module that returns its VMs", "zstack.kvm"},
    }
    tasks = [task for sides in profiles.values() for side in sides.values() for task in side.values()]
    assert all(sum(seconds.values()) > 0 for seconds in tasks)
    calls = results["seconds_in_libvirt_calls"]
    assert calls["libvirt-python alone"]["create"] > 0 and calls["zstack.kvm"]["create"] > 0
    assert len(results["simulated"]) == 2
    assert all(cost["seconds"] > 0 and cost["memory_kib"] > 1000 for cost in results["simulated"])
    assert [target["what"] for target in results["targets"] if target["what"] not in done.stdout] == []
    assert [side for side in ("controller", "hypervisor") if f"on the {side}, in a run" not in done.stdout] == []
    plot = etree.parse(str(tmp_path / "benchmarks.svg")).getroot()
    assert [text for text in {*ALL, *STARTING} if text not in "".join(plot.itertext())] == []
    done = run(tmp_path, "--simulated")
    assert done.returncode == 0, done.stdout + done.stderr
    again = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert again["measured"] == results["measured"] and again["simulated"] != results["simulated"]


@pytest.mark.outside
def test_simulated_hypervisors_alone_need_the_other_results(tmp_path: Path) -> None:
    done = run(tmp_path, "--simulated")
    assert (done.returncode, "benchmarks.json does not exist" in done.stdout) == (2, True)
