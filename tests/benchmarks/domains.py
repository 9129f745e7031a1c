# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the domains of VMs, or measure the comparison of VMs that are defined. Runs on the hypervisor.

domains.py describe VMS.json DOMAINS.json
domains.py compare VMS.json RESULT.json
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._domain import build as domain
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._host_storage.facts import facts as storage_facts
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.run_context import RunContext, StartRequest, begin_run
from lxml import etree

ROUNDS = 5


def main(operation: str, vms_file: str, result_file: str) -> None:
    """Read the one file and write the other."""
    with open(vms_file, encoding="utf-8") as stream:
        raw = json.load(stream)
    vms, problems = parse_vms(raw)
    assert not problems, [str(problem) for problem in problems]
    request = StartRequest(Policy(), check_mode=True, parallel=1, secrets=frozenset(), cancelled=threading.Event())
    run = begin_run(Hypervisor.connect("qemu:///system"), HostSystem(), vms, request)
    result = describe(run, vms) if operation == "describe" else compare(run, vms, raw)
    with open(result_file, "w", encoding="utf-8") as stream:
        json.dump(result, stream)


def describe(run: RunContext, vms: Sequence[Vm]) -> list[dict[str, str]]:
    """Return the domains that are defined for the VMs."""
    domains = []
    for vm in vms:
        facts = storage_facts(vm, None, run.system, run.hypervisor)
        xml = etree.tostring(domain.build(vm, run.host, facts).element, encoding="unicode")
        domains.append({"uuid": vm.uuid, "name": vm.domain_name, "xml": xml})
    return domains


def compare(run: RunContext, vms: Sequence[Vm], raw: Any) -> dict[str, float]:
    """Return the seconds per VM: medians of several rounds over all VMs."""
    definitions = [run.hypervisor.xml(vm.uuid, inactive=True) for vm in vms]
    facts = [storage_facts(vm, None, run.system, run.hypervisor) for vm in vms]
    built = [domain.build(vm, run.host, known).element for vm, known in zip(vms, facts)]

    def build_all() -> None:
        for vm, known in zip(vms, facts):
            domain.build(vm, run.host, known)

    def compare_all() -> None:
        for desired, xml in zip(built, definitions):
            assert not reconcile(desired, etree.fromstring(xml)).differences

    seconds = {
        "read": _median(lambda: parse_vms(raw)),
        "build": _median(build_all),
        "compare": _median(compare_all),
    }
    return {what: times / len(vms) for what, times in seconds.items()}


def _median(function: Callable[[], object]) -> float:
    times = []
    for _round in range(ROUNDS):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


if __name__ == "__main__":
    main(*sys.argv[1:])
