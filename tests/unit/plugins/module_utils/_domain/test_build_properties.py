# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any VM that the argument spec allows becomes a domain that is valid against libvirt's schema, or listed problems."""

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._domain.build import build
from ansible_collections.zstack.kvm.plugins.module_utils._errors.codes import ERROR_CODES
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmProblems
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import StorageFacts
from ansible_collections.zstack.kvm.tests.support.libvirt_schema import schema_errors
from ansible_collections.zstack.kvm.tests.support.recorded_hosts import CAPABILITIES, recorded_host
from ansible_collections.zstack.kvm.tests.support.vm_strategies import parsed_vms
from hypothesis import given, settings
from hypothesis import strategies as st

HOSTS = sorted(path.name for path in CAPABILITIES.iterdir() if path.is_dir())


@pytest.mark.parametrize("host", HOSTS)
@given(vm=parsed_vms(), image_format=st.sampled_from(["raw", "qcow2", None]))
@settings(max_examples=25, deadline=None)
def test_every_vm_gives_a_valid_domain_or_listed_problems(host: str, vm: Vm, image_format: str) -> None:
    formats = {volume.install_path: image_format for volume in vm.volumes if image_format}
    try:
        desired = build(vm, recorded_host(host), StorageFacts(formats))
    except VmProblems as error:
        problems = error.problems
        assert problems
    else:
        problems = desired.missing
        assert schema_errors(desired.element) == []
    assert {problem.code for problem in problems} <= set(ERROR_CODES)
    assert all(problem.option_path.startswith(vm.option_path + ".") for problem in problems)
