# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workloads that are measured, one after another, in one session."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import imports, libvirt_calls, module_process
from .contenders import (
    BARE,
    CHECK,
    CLONE,
    CONTENDERS,
    NOTHING,
    OURS,
    RETURN_VMS,
    START,
    UNCHANGED,
    WITHOUT_VMS,
    Playbook,
)
from .hypervisors import HERE, ONE, TARGET_PYTHON, Failed, Hypervisors, run, spread, target_environment
from .measure import Measured, in_rounds
from .profiles import HYPERVISOR, profiles
from .sizes import Sizes
from .vms import Vm, create_clones, create_vms, read_json

STARTED = "start"
CLONED = "clones"
RUNNING = "unchanged"
CHECKED = "check"
DEFINED = "check, off"
FLEET_STARTED = "fleet start"
FLEET_RUNNING = "fleet unchanged"
# Of a run without VMs, in the results for memory
NO_VM = "no VM"


class Session:
    """One session of measuring."""

    def __init__(self, one: Hypervisors, fleet: Hypervisors, sizes: Sizes) -> None:
        self.one = one
        self.fleet = fleet
        self.sizes = sizes
        self.measured: list[Measured] = []
        # KiB of the module's process, by the kind of run.
        self.memory: dict[str, int] = {}
        # Seconds for one VM, by step.
        self.compared: Mapping[str, float] = {}
        # Seconds of one run, by workload, side, task and what is done.
        self.profiles: dict[str, Mapping[str, Mapping[str, Mapping[str, float]]]] = {}
        # Seconds of a start's threads, by contender and method of libvirt-python.
        self.libvirt_calls: Mapping[str, Mapping[str, float]] = {}
        # Seconds, by import.
        self.imported: Mapping[str, float] = {}

    def run(self) -> None:
        """Run all workloads."""
        self.imported = imports.seconds_to_import(self.one)
        self._start()
        self._cloned()
        self._running()
        self._defined()
        self._fleet()

    def _measure(self, workload: str, operation: str, hypervisors: Hypervisors, vms: int, **options: Any) -> None:
        self.measured += in_rounds(workload, operation, hypervisors, CONTENDERS, vms, self.sizes, **options)

    def _start(self) -> None:
        vms = create_vms(self.one.directory / "images", 0, self.sizes.started[-1])

        def clean() -> None:
            expect_running(self.one, count)
            BARE.script("remove", self.one)

        for count in self.sizes.started:
            prepare(self.one, {ONE: vms[:count]})
            if count == self.sizes.started[0]:
                self._warm_up()
            self._measure(STARTED, START, self.one, count, after=clean)
        # Not the controller: py-spy takes its short sleeps, while it waits for a long task, for work.
        self.profiles[STARTED] = profiles((OURS,), self.one, self.sizes.profiled, sides=(HYPERVISOR,), after=clean)
        self.libvirt_calls = libvirt_calls.of_starts(self.one, self.sizes.profiled, clean)

    def _cloned(self) -> None:
        vms = create_clones(self.one.directory / "images", 4, self.sizes.cloned)
        prepare(self.one, {ONE: vms}, [BARE, OURS])

        def clean() -> None:
            expect_running(self.one, len(vms))
            BARE.script("remove", self.one)

        self._measure(CLONED, CLONE, self.one, len(vms), after=clean)

    def _warm_up(self) -> None:
        """Run every contender once, so that what is read only the first time, such as code, is not measured."""
        for contender in CONTENDERS:
            contender.do(contender.operations[0], self.one)
            BARE.script("remove", self.one)

    def _running(self) -> None:
        vms = create_vms(self.one.directory / "images", 1, self.sizes.running[-1])
        prepare(self.one, {ONE: vms})
        self.memory[f"start of {len(vms)}"] = module_process.of_task(OURS, self.one).memory_kib
        for count in self.sizes.running:
            prepare(self.one, {ONE: vms[:count]})
            self._measure(RUNNING, UNCHANGED, self.one, count)
        self._measure(CHECKED, CHECK, self.one, self.sizes.running[-1])
        self.memory[NO_VM] = self._memory(WITHOUT_VMS)
        self.memory[looked_at(len(vms))] = self._memory(OURS)
        self.profiles[RUNNING] = profiles((NOTHING, WITHOUT_VMS, OURS), self.one, self.sizes.profiled)
        expect_running(self.one, len(vms))
        BARE.script("remove", self.one)

    def _defined(self) -> None:
        vms = create_vms(self.one.directory / "images", 2, self.sizes.defined[-1])
        prepare(self.one, {ONE: vms}, [BARE])
        BARE.script("define", self.one)
        for count in self.sizes.defined:
            able = [BARE, RETURN_VMS, OURS]
            prepare(self.one, {ONE: vms[:count]}, able)
            self.measured += in_rounds(DEFINED, CHECK, self.one, able, count, self.sizes)
        self.memory[f"check of {len(vms)}"] = self._memory(OURS, "--check")
        self.profiles[DEFINED] = profiles((RETURN_VMS, OURS), self.one, self.sizes.profiled, "--check")
        self._compare(vms[: self.sizes.compared])
        prepare(self.one, {ONE: vms}, [BARE])
        BARE.script("remove", self.one)

    def _memory(self, task: Playbook, *arguments: str) -> int:
        """Return the median of the module's memory, in KiB, over several runs that change nothing."""
        runs = [module_process.of_task(task, self.one, *arguments) for _round in range(self.sizes.repetitions)]
        return int(statistics.median(run.memory_kib for run in runs))

    def _compare(self, vms: Sequence[Vm]) -> None:
        vms_file, times_file = self.one.write("compared.json", vms), self.one.directory / "compared-times.json"
        script = [TARGET_PYTHON, str(HERE / "domains.py"), "compare", str(vms_file), str(times_file)]
        run(self.one.scripts(*script), target_environment(self.one))
        self.compared = read_json(times_file)

    def _fleet(self) -> None:
        hosts = list(self.fleet.inside)
        vms = create_vms(self.one.directory.parent / "fleet-images", 3, len(hosts) * self.sizes.vms_of_a_host)
        prepare(self.fleet, spread(vms, hosts), source=self.one)

        def clean() -> None:
            expect_running(self.fleet, len(vms))
            BARE.script("remove", self.fleet)

        NOTHING.do(UNCHANGED, self.fleet)
        self._measure(FLEET_STARTED, START, self.fleet, len(vms), after=clean)
        OURS.do(START, self.fleet)
        self._measure(FLEET_RUNNING, UNCHANGED, self.fleet, len(vms))
        clean()


def looked_at(vms: int) -> str:
    """Return the name of a run that changes none of so many VMs, in the results for memory."""
    return f"look at {vms}"


def prepare(
    hypervisors: Hypervisors,
    vms: Mapping[str, Sequence[Vm]],
    contenders: Sequence[Any] = CONTENDERS,
    source: Hypervisors | None = None,
) -> None:
    """Prepare the VMs for all contenders, with the domains that zstack_vm_start builds for them on a `source` host."""
    source = source or hypervisors
    all_vms = [vm for own in vms.values() for vm in own]
    vms_file, domains_file = source.write("vms.json", all_vms), source.directory / "domains.json"
    script = [TARGET_PYTHON, str(HERE / "domains.py"), "describe", str(vms_file), str(domains_file)]
    run(source.scripts(*script), target_environment(source))
    remaining: Iterator[Mapping[str, str]] = iter(read_json(domains_file))
    domains = {host: [next(remaining) for _vm in own] for host, own in vms.items()}
    hypervisors.directory.mkdir(parents=True, exist_ok=True)
    for contender in contenders:
        contender.prepare(hypervisors, vms, domains)


def expect_running(hypervisors: Hypervisors, vms: int) -> None:
    """Raise Failed unless all VMs run that were prepared last."""
    running = sum(int(output) for output in BARE.script("count", hypervisors))
    if running != vms:
        raise Failed(f"{running} of {vms} VMs run")
