# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions that a task makes for all of its VMs."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.definition import CreateChannelDirectory
from ansible_collections.zstack.kvm.plugins.module_utils._actions.power import Start
from ansible_collections.zstack.kvm.plugins.module_utils._host import firmware
from ansible_collections.zstack.kvm.plugins.module_utils._host.capabilities import parse_capabilities
from ansible_collections.zstack.kvm.plugins.module_utils._start import daemons, run_context
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.run_context import (
    RunContext,
    SharedActions,
    StartRequest,
)
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeHypervisor, parsed_vm


def run(parallel: Optional[int], remote: bool) -> RunContext:
    """Run on a controller with 3 CPUs, for a hypervisor with 8."""
    system: Any = SimpleNamespace(is_remote=remote, devices=SimpleNamespace(cpu_count=lambda: 3 if remote else 8))
    hypervisor: Any = SimpleNamespace(cpu_count=lambda: 8)
    request = StartRequest(Policy(), False, parallel, frozenset(), threading.Event())
    unused: Any = None
    return RunContext(
        hypervisor, system, request, (), unused, unused, unused, None, None, None, (), frozenset(), unused, unused
    )


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize(("parallel", "workers"), [(None, 8), (1, 1), (20, 20)])
def test_as_many_vms_at_a_time_as_requested_or_as_the_hypervisor_has_cpus(
    parallel: Optional[int], remote: bool, workers: int
) -> None:
    assert run(parallel, remote).workers == workers


def test_shared_actions_are_planned_only_for_the_first_vm() -> None:
    shared_actions = SharedActions()
    actions = [CreateChannelDirectory("/a"), CreateChannelDirectory("/b"), Start()]
    assert [shared_actions.is_first(action) for action in actions] == [True, True, True]
    assert [shared_actions.is_first(action) for action in actions] == [False, False, True]


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({}, False),
        ({"firmware": "uefi"}, True),
        ({"machine": "q35", "secure_boot": True, "firmware": "uefi"}, True),
        ({"arch": "aarch64"}, True),
    ],
)
def test_descriptors_of_firmware_are_read_for_vms_whose_firmware_they_decide(
    options: dict[str, Any], read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware, "find_firmware", lambda files: ())
    monkeypatch.setattr(run_context, "device_support", lambda system: None)
    devices, network = SimpleNamespace(cgroup_version=lambda: 2), SimpleNamespace(ip_addresses=lambda: None)
    system: Any = SimpleNamespace(is_remote=False, files=None, devices=devices, network=network)
    hypervisor: Any = FakeHypervisor()
    capabilities = parse_capabilities(hypervisor.capabilities())
    host = run_context._ask_host(hypervisor, system, [parsed_vm(domain_type="qemu", **options)], capabilities)
    assert (host.firmwares is not None) is read


def test_the_daemons_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["virtlogd is missing"]])
    monkeypatch.setattr(daemons, "missing_daemons", lambda system, uri: next(answers))
    context = run(None, remote=False)
    context.hypervisor.uri = "qemu:///system"
    assert [context.missing_daemons for _vm in range(2)] == 2 * [["virtlogd is missing"]]
