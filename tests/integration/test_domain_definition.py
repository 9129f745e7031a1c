# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real libvirt takes the domains, with validation: of all recorded StartVmCmd documents, and of drawn VMs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils.domain import build
from ansible_collections.zstack.kvm.plugins.module_utils.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils.host import (
    DomainKind,
    Host,
    parse_capabilities,
    parse_domain_capabilities,
)
from ansible_collections.zstack.kvm.plugins.module_utils.storage.base import StorageFacts
from ansible_collections.zstack.kvm.plugins.module_utils.vm import Vm
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor
from ansible_collections.zstack.kvm.tests.support.reference_cases import ALL_CASES, Case
from ansible_collections.zstack.kvm.tests.support.vm_strategies import parsed_vms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

MACHINES = (('x86_64', 'pc'), ('x86_64', 'q35'), ('aarch64', 'virt'))


@pytest.fixture(scope='module')
def host() -> Host:
    """This hypervisor, without KVM: what is tested here is what libvirt takes, not what the CPU can do."""
    asked = hypervisor()
    kinds = [DomainKind(None, arch, machine, 'qemu') for arch, machine in MACHINES]
    return Host(parse_capabilities(asked.capabilities()), {
        kind: parse_domain_capabilities(asked.domain_capabilities(None, kind.arch, kind.machine, 'qemu'))
        for kind in kinds
    }, cgroup_version=1)


def is_defined_by_libvirt(domain: etree._Element) -> bool:
    """Defines the domain and removes it again; raises what libvirt says against it."""
    hypervisor().define(etree.tostring(domain, encoding='unicode'))
    hypervisor().undefine(domain.findtext('uuid'), remove_nvram=True)
    return True


@pytest.mark.parametrize('case', ALL_CASES, ids=lambda case: '%s.%s' % (case.name, case.arch))
def test_libvirt_defines_the_domain_of_every_recorded_document(case: Case, host: Host) -> None:
    # The emulator of the document is not here, and the agent's hosts had KVM.
    desired = build(case.vm(domain_type='qemu', arch=case.arch, emulator=None), host, case.facts)

    assert desired.missing == ()
    assert is_defined_by_libvirt(desired.element)


@given(vm=parsed_vms(), image_format=st.sampled_from(['raw', 'qcow2']), machine=st.sampled_from(['pc', 'q35', None]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_libvirt_defines_every_domain_that_the_host_lacks_nothing_for(
    host: Host, vm: Vm, image_format: str, machine: str
) -> None:
    machine = None if vm.arch == 'aarch64' else machine
    vm = replace(vm, domain_type='qemu', emulator=None, machine=machine, domain_patches=())
    try:
        desired = build(vm, host, StorageFacts({volume.install_path: image_format for volume in vm.volumes}))
    except VmProblems as error:
        assert error.problems
    else:
        assert desired.missing or is_defined_by_libvirt(desired.element)
