# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run zstack_vm_start and zstack_volume on the hypervisor itself and without Ansible, for many runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import parse_capabilities
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.plugins.module_utils._spec.parse import parse_vms, secrets_of
from ansible_collections.zstack.kvm.plugins.module_utils._spec.vm import Vm
from ansible_collections.zstack.kvm.plugins.module_utils._spec.volumes import parse_volumes
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.run_context import StartRequest
from ansible_collections.zstack.kvm.plugins.module_utils._start.start import start_vms
from ansible_collections.zstack.kvm.plugins.module_utils._volumes.work import VolumeRequest, VolumeTask
from ansible_collections.zstack.kvm.tests.support import predicted
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun


def hypervisor() -> Hypervisor:
    """Return the connection that all tests of a process share, renewed after a test that killed libvirtd."""
    connected = _connected()
    connected.reconnect()
    return connected


@lru_cache
def _connected() -> Hypervisor:
    return Hypervisor.connect("qemu:///system")


def start(*vms: Any, check: bool = False, **policy: Any) -> TaskRun:
    """Run what the module runs with these VMs, and return what a task would return."""
    parsed, problems = parse_vms(list(vms))
    assert not problems, [str(problem) for problem in problems]
    return start_parsed(parsed, secrets_of(list(vms)), check, **policy)


def start_parsed(vms: Sequence[Vm], secrets: set[str], check: bool = False, **policy: Any) -> TaskRun:
    """Do the same with VMs that have been validated."""
    request = StartRequest(Policy(**policy), check, 1, frozenset(secrets), threading.Event(), diff=True)
    results = start_vms(hypervisor(), HostSystem(), vms, request)
    returned = {
        "changed": any(result.changed for result in results),
        "vms": [result.as_entry() for result in results],
        "diff": [result.as_diff() for result in results],
    }
    return TaskRun(returned, "", int(any(result.failure is not None for result in results)))


def run_volumes(*volumes: Any, state: str = "present", check: bool = False) -> TaskRun:
    """Run what zstack_volume runs with these volumes, and return what a task would return."""
    parsed, problems = parse_volumes(list(volumes))
    assert not problems, [str(problem) for problem in problems]
    request = VolumeRequest(state == "absent", check, threading.Event())
    owner = parse_capabilities(hypervisor().capabilities()).qemu_owner
    results = VolumeTask(hypervisor(), HostSystem(), owner, request).run(parsed)
    returned = {
        "changed": any(result.actions for result in results),
        "volumes": [result.as_entry() for result in results],
    }
    return TaskRun(returned, "", int(any(result.failure is not None for result in results)))


agreed = partial(predicted.agreed, start)
failed = partial(predicted.failed, start)
