# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each of today's StartVmCmd documents becomes a domain with the meaning of today's agent's, except for deviations."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._spec.document_fields import DocumentReader
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import converted
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document
from ansible_collections.zstack.kvm.tests.support.deviations.today import REFUSED, STARTED, differences
from ansible_collections.zstack.kvm.tests.support.document_variants import facts_of, variants
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import recorded_host
from ansible_collections.zstack.kvm.tests.support.todays_cases import ALL_OF_TODAY, TodaysCase
from lxml import etree


def domain_of(case: TodaysCase) -> etree._Element:
    """Return our domain on the agent's host."""
    (vm,), problems = parse_vms([vm_of_document(case.document, "error")[0]])
    assert not problems
    return build(vm, case.host, case.facts).element


@pytest.mark.parametrize("case", STARTED, ids=lambda case: "%s.%s" % (case.name, case.arch))
class TestADocumentOfToday:
    def test_becomes_a_domain_that_means_what_the_agents_means(self, case: TodaysCase) -> None:
        assert differences(domain_of(case), case) == {}

    def test_becomes_a_domain_that_is_valid_against_libvirts_schema(self, case: TodaysCase) -> None:
        assert schema_errors(domain_of(case)) == []


@pytest.mark.parametrize("case", [case for case in ALL_OF_TODAY if case.name in REFUSED], ids=lambda case: case.name)
def test_a_document_that_is_not_supported_is_refused_by_its_fields(case: TodaysCase) -> None:
    refusals = case.refusals()
    try:
        parsed, problems = parse_vms([converted(case.document, DocumentReader())])
        refusals += [str(problem) for problem in problems]
        for vm in parsed:
            build(vm, case.host, case.facts)
    except (ValueError, VmProblems) as error:
        refusals.append(str(error))
    for field in REFUSED[case.name]:
        assert any(field in refusal for refusal in refusals), refusals


def pci(bus: int, slot: int) -> dict[str, str]:
    return {"type": "pci", "domain": "0x0000", "bus": hex(bus), "slot": hex(slot), "function": "0x0"}


def problems_of(fields: Mapping[str, Any]) -> list[str]:
    """Return the problems of the first recorded document with other C(fields), given by their paths."""
    document = deepcopy(dict(ALL_OF_TODAY[0].document))
    for path, value in fields.items():
        *outer, name = path.split(".")
        part: Any = document
        for step in outer:
            part = part[int(step)] if step.isdigit() else part.setdefault(step, {})
        part[name] = value
    reader = DocumentReader()
    described = converted(document, reader)
    if reader.problems:
        return reader.problems
    # Enterprise Linux 9 has neither swtpm nor a firmware with a CSM.
    host = recorded_host("el-9")
    host = host._replace(capabilities=host.capabilities._replace(cpus=frozenset(range(4)), numa_nodes=frozenset({0})))
    parsed, problems = parse_vms([described])
    if problems:
        return [str(problem) for problem in problems]
    try:
        return [str(problem) for problem in build(parsed[0], host, facts_of(document)).missing]
    except VmProblems as error:
        return [str(problem) for problem in error.problems]


CELLS = [{"nodeID": 0, "cpus": "0", "memorySize": str(1 << 30), "distance": ["10"], "hostNodeID": 0}]
Q35 = {"machineType": "q35", "bootMode": "UEFI"}
# Fields, and the beginnings of the problems: found by the filter, in options, with the machine and the host.
OF_THE_FILTER = [
    ({"memory": "much"}, "memory must be a whole number"),
    ({"nics": {}}, "nics must be a list"),
    ({"cdRoms": [{"deviceId": 0, "isEmpty": True, "path": "/cd"}]}, "cdRoms[0].isEmpty is true, but the drive has a"),
    ({"memBalloon.deviceAddress": {**pci(0, 9), "slot": "x"}}, "memBalloon.deviceAddress.slot must be a whole number"),
    ({"addons.userDefinedXml": "no base64!"}, "addons.userDefinedXml is not supported"),
    ({"addons.ioThreadNum": 1001}, "addons.ioThreadNum must be at most 1000"),
]
OF_OPTIONS = [
    (
        {"rootVolume.deviceAddress": pci(0, 9), "nics.0.pci": pci(0, 9)},
        "vms[0].nics[0].address: is the same PCI address as vms[0].root_volume.address",
    ),
    ({"secureBoot": True}, "vms[0].secure_boot: needs firmware uefi"),
    ({"addons.numaNodes": CELLS}, "vms[0].numa_nodes: lack the CPU"),
    ({"rootVolume.ioThreadId": 7}, "vms[0].root_volume.io_thread: is 7, but io_threads of the VM has no thread with"),
    ({"tpm": {"secretUuid": "x"}}, "vms[0].tpm.secret_uuid: 'x' is not a UUID"),
    ({"memorySnapshotPath": "snapshot"}, "vms[0].memory_snapshot: 'snapshot' is not an absolute path"),
    (
        {"addons.ceph_secret_key": "no base64!", "addons.ceph_secret_uuid": "0" * 32},
        "vms[0].ceph_secret.key: is not a cephx key: base64",
    ),
]
OF_MACHINE_AND_HOST = [
    ({"bootMode": "UEFI", "secureBoot": True}, "vms[0].secure_boot: Secure Boot needs a machine of type q35, not pc"),
    ({"rootVolume.deviceAddress": pci(7, 5)}, "vms[0].root_volume.address: the VM has no PCI bus 7"),
    ({**Q35, "tpm": {}}, "vms[0].tpm: the host has no swtpm"),
    ({"bootMode": "UEFI_WITH_CSM"}, "vms[0].firmware: the host has no UEFI firmware with a CSM"),
    (
        {"nestedVirtualization": "custom", "vmCpuModel": "Z80"},
        "vms[0].cpu_model: the host does not know the CPU model Z80",
    ),
    ({"addons.cpuPinning": [{"vCpu": 0, "pCpuSet": "64"}]}, "vms[0].cpu_pinning[0].cpus: the host has no CPU 64"),
]


class TestABadDocument:
    @pytest.mark.parametrize(
        ("fields", "problem"),
        [*OF_THE_FILTER, *OF_OPTIONS, *OF_MACHINE_AND_HOST],
        ids=lambda value: value.partition(":")[0].partition(" ")[0] if isinstance(value, str) else "",
    )
    def test_has_a_problem_with_its_path(self, fields: dict[str, Any], problem: str) -> None:
        assert [found[: len(problem)] for found in problems_of(fields)] == [problem]

    @pytest.mark.parametrize("kind", [OF_THE_FILTER, OF_OPTIONS], ids=["in its fields", "in its options"])
    def test_has_all_problems_at_once(self, kind: list[tuple[dict[str, Any], str]]) -> None:
        all_fields = {name: value for fields, _problem in kind for name, value in fields.items()}
        found = problems_of(all_fields)
        assert [problem for _fields, problem in kind if not any(each.startswith(problem) for each in found)] == []


def test_a_document_with_fields_of_others_becomes_a_valid_domain_or_is_refused() -> None:
    """Nothing but problems is raised, and no field is dropped silently."""
    invalid, started = {}, 0
    for case, document in variants(300, seed=1):
        reader = DocumentReader()
        parsed, problems = parse_vms([converted(document, reader)])
        if reader.problems or problems:
            continue
        assert reader.unknown == []
        try:
            domain = build(parsed[0], case.host, facts_of(document)).element
        except VmProblems:
            continue
        started += 1
        errors = schema_errors(domain)
        if errors:
            invalid[document["vmInstanceUuid"]] = errors
    assert invalid == {}
    assert started > 50


def test_all_of_todays_documents_are_tested() -> None:
    assert len(ALL_OF_TODAY) == 120
