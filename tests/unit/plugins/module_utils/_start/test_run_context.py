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
from ansible_collections.zstack.kvm.plugins.module_utils._start import daemons
from ansible_collections.zstack.kvm.plugins.module_utils._start.plan import Policy
from ansible_collections.zstack.kvm.plugins.module_utils._start.run_context import (
    RunContext,
    SharedActions,
    StartRequest,
)


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


def test_the_daemons_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["virtlogd is missing"]])
    monkeypatch.setattr(daemons, "missing_daemons", lambda system, uri: next(answers))
    context = run(None, remote=False)
    context.hypervisor.uri = "qemu:///system"
    assert [context.missing_daemons for _vm in range(2)] == 2 * [["virtlogd is missing"]]
