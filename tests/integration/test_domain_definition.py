# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real libvirt defines the domains, with validation: of all recorded StartVmCmd documents, and of generated VMs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.filter.agent_api_result import agent_api_result
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import DesiredDomain, build
from ansible_collections.zstack.kvm.plugins.module_utils._drift.reconcile import reconcile
from ansible_collections.zstack.kvm.plugins.module_utils._drift.walk import Difference
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError, VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import (
    DomainKind,
    Host,
    parse_capabilities,
    parse_domain_capabilities,
)
from ansible_collections.zstack.kvm.plugins.module_utils._host.firmware import find_firmware
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Removal
from ansible_collections.zstack.kvm.plugins.module_utils._spec.document_fields import DocumentReader
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms
from ansible_collections.zstack.kvm.plugins.module_utils._spec.start_vm_cmd import converted
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.plugins.plugin_utils.start_vm_cmd import vm_of_document
from ansible_collections.zstack.kvm.tests.support.agent_api import next_document
from ansible_collections.zstack.kvm.tests.support.deviations.today import STARTED
from ansible_collections.zstack.kvm.tests.support.document_variants import facts_of, variants
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, Case
from ansible_collections.zstack.kvm.tests.support.todays_cases import TodaysCase
from ansible_collections.zstack.kvm.tests.support.vm_strategies import parsed_vms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

MACHINES = (("x86_64", "pc"), ("x86_64", "q35"), ("aarch64", "virt"))


@pytest.fixture(scope="module")
def host() -> Host:
    """Return this hypervisor, without KVM: the tests are about what libvirt accepts, not about the CPU."""
    asked = hypervisor()
    kinds = [DomainKind(None, arch, machine, "qemu") for arch, machine in MACHINES]
    return Host(
        parse_capabilities(asked.capabilities()),
        {
            kind: parse_domain_capabilities(asked.domain_capabilities(None, kind.arch, kind.machine, "qemu"))
            for kind in kinds
        },
        cgroup_version=1,
        firmwares=find_firmware(HostSystem().files),
    )


def is_defined_by_libvirt(domain: etree._Element) -> bool:
    """Define the domain and remove it again; raise libvirt's error."""
    hypervisor().define(etree.tostring(domain, encoding="unicode"))
    hypervisor().undefine(domain.findtext("uuid"), Removal(nvram=True))
    return True


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: "%s.%s" % (case.name, case.arch))
def test_libvirt_defines_the_domain_of_every_recorded_document(case: Case, host: Host) -> None:
    # The document's emulator does not exist here, and the agent's hosts had KVM.
    desired = build(case.vm(domain_type="qemu", arch=case.arch, emulator=None), host, case.facts)

    assert desired.missing == ()
    assert is_defined_by_libvirt(desired.element)


# What a test's hypervisor may lack, which is reported before anything is defined.
LACKED = re.compile(
    r"the host has no (CPU|NUMA node) |the host has no UEFI firmware with a CSM|the host does not know the CPU model"
)


@pytest.mark.parametrize("case", STARTED, ids=lambda case: "%s.%s" % (case.name, case.arch))
def test_libvirt_defines_the_domain_of_each_of_todays_documents_that_the_host_can_run(
    case: TodaysCase, host: Host
) -> None:
    desired = desired_domain(case, case.document, host)
    assert [problem.message for problem in desired.missing if not LACKED.match(problem.message)] == []
    if not desired.missing:
        held = held_by_libvirt(desired.element)
        assert reconcile(desired.element, held, desired.unpatched).differences == ()
        # The management node records the addresses, and sends them in the next document
        reply = agent_api_result({}, etree.tostring(held, encoding="unicode"))
        again = desired_domain(case, next_document(case.document, reply), host)
        assert reconcile(again.element, held, again.unpatched).differences == ()


def desired_domain(case: TodaysCase, document: Mapping[str, Any], host: Host) -> DesiredDomain:
    """Return the domain of a document on an emulator of this host."""
    options = {**vm_of_document(document, "error")[0], "domain_type": "qemu", "arch": case.arch, "emulator": None}
    (vm,), problems = parse_vms([options])
    assert problems == []
    return build(vm, host, case.facts)


def test_libvirt_defines_the_domains_of_documents_with_fields_of_others(host: Host) -> None:
    found, defined = {}, 0
    for case, document in variants(150, seed=2):
        reader = DocumentReader()
        described = converted(document, reader)
        parsed, problems = parse_vms([{**described, "domain_type": "qemu", "arch": case.arch, "emulator": None}])
        if reader.problems or problems:
            continue
        try:
            desired = build(parsed[0], host, facts_of(document))
        except VmProblems:
            continue
        if desired.missing:
            continue
        defined += 1
        try:
            differences: object = differences_once_defined(desired)
        except VmError as error:
            differences = str(error)
        if differences:
            found[case.name, document["vmInstanceUuid"]] = differences
    assert found == {}
    assert defined > 20


TAKEN_OUT = (
    "clock",
    "on_poweroff",
    "on_reboot",
    "on_crash",
    "features/acpi",
    "cputune",
    "cpu",
    "metadata",
    "os/bootmenu",
    "seclabel",
    "vcpu/@placement",
    "devices/emulator",
    "devices/disk[1]/driver",
    "devices/disk[1]/@snapshot",
    'devices/controller[@type="usb"]',
    'devices/controller[@type="scsi"]',
    "devices/interface/model",
    "devices/interface/target",
    "devices/serial",
    "devices/console",
    "devices/serial|devices/console",
    "devices/input",
    "devices/graphics",
    "devices/video",
    "devices/memballoon",
    "devices/memballoon/stats",
)


def differences_once_defined(desired: DesiredDomain) -> tuple[Difference, ...]:
    """Return the drift of a VM that was just defined."""
    return reconcile(desired.element, held_by_libvirt(desired.element), desired.unpatched).differences


def held_by_libvirt(domain: etree._Element) -> etree._Element:
    """Define the domain, remove it again, and return libvirt's definition."""
    hypervisor().define(etree.tostring(domain, encoding="unicode"))
    held = etree.fromstring(hypervisor().xml(domain.findtext("uuid"), inactive=True))
    hypervisor().undefine(domain.findtext("uuid"), Removal(nvram=True))
    return held


@pytest.mark.parametrize(("arch", "machine"), MACHINES)
def test_what_patches_remove_is_no_difference_once_it_is_defined(arch: str, machine: str, host: Host) -> None:
    root = {"install_path": "/root.raw", "format": "raw", "use_virtio_scsi": machine != "q35"}
    options = {
        "uuid": "5d1f0a8e-0c55-4b5e-9a10-6f4d1c7b2e03",
        "name": "patched",
        "memory": "1GiB",
        "cpu_num": 1,
        "domain_type": "qemu",
        "arch": arch,
        "machine": machine,
        "internal_id": 1,
        "root_volume": root,
        "nics": [{"bridge_name": "br0"}],
    }
    # Without USB controllers, libvirt refuses the tablet of the machine virt.
    taken_out = [xpath for xpath in TAKEN_OUT if arch == "x86_64" or "usb" not in xpath]
    found = {}
    before = None
    for xpath in taken_out:
        (vm,), _problems = parse_vms([{**options, "domain_patches": [{"action": "remove", "xpath": xpath}]}])
        desired = build(vm, host, StorageFacts())
        before = held_by_libvirt(desired.unpatched) if before is None else before
        merged = reconcile(desired.element, before, desired.unpatched).merged
        found[xpath] = [
            reconcile(desired.element, held_by_libvirt(domain), desired.unpatched).differences
            for domain in (desired.element, merged)
        ]

    assert {xpath: again for xpath, again in found.items() if again != [(), ()]} == {}


def test_libvirt_defines_a_vm_with_more_cpus_than_interrupts_have_numbers_for(host: Host) -> None:
    (vm,), _problems = parse_vms(
        [
            {
                "uuid": "a9a1b3c5-4f0e-4d0a-8f57-2b6c1e9d7f04",
                "name": "big",
                "memory": "1GiB",
                "cpu_num": 288,
                "domain_type": "qemu",
                "machine": "q35",
                "root_volume": {"install_path": "/root.raw", "format": "raw"},
            }
        ]
    )
    desired = build(vm, host, StorageFacts())

    assert desired.missing == ()
    assert is_defined_by_libvirt(desired.element)


@pytest.mark.parametrize(("arch", "machine"), MACHINES)
@given(vm=parsed_vms(), image_format=st.sampled_from(["raw", "qcow2"]))
@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_libvirt_defines_every_domain_that_the_host_lacks_nothing_for(
    arch: str, machine: str, host: Host, vm: Vm, image_format: str
) -> None:
    vm = vm._replace(domain_type="qemu", arch=arch, machine=machine, emulator=None)
    try:
        desired = build(vm, host, StorageFacts({volume.install_path: image_format for volume in vm.volumes}))
    except VmProblems as error:
        problems = error.problems
        assert problems
    else:
        problems = desired.missing
        assert problems or is_defined_by_libvirt(desired.element)
    assert {problem.code for problem in problems} <= set(ERROR_CODES)
