# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OOM score of the QEMU of a VM, found by its pid file and its command line."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.oom_score import SetOomScore, oom_score, set_oom_score
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.unit.fakes import (
    UUID,
    FakeDomain,
    FakeHypervisor,
    FakeSystem,
    RemoteFakeSystem,
    context_of,
    parsed_vm,
)

NAME = UUID.replace("-", "")


class Kernel(FakeSystem):
    """A kernel in which the VM's QEMU has the PID 7, unless it does not run."""

    def __init__(self, runs: bool = True) -> None:
        super().__init__()
        self.scores = {7: 300}
        self._pids = {("/run/libvirt/qemu/%s.pid" % NAME, "guest=%s," % NAME): 7} if runs else {}

    def running(self, pid_file: str, argument: str) -> Optional[int]:
        return self._pids.get((pid_file, argument))

    def oom_score(self, pid: int) -> int:
        return self.scores[pid]

    def set_oom_score(self, pid: int, score: int) -> None:
        self.scores[pid] = score


def test_it_is_that_of_the_vms_own_qemu() -> None:
    assert oom_score(parsed_vm(), Kernel()) == 300


@pytest.mark.parametrize("system", [Kernel(runs=False), RemoteFakeSystem()])
def test_it_is_unknown_where_qemu_cannot_be_seen(system: FakeSystem) -> None:
    assert oom_score(parsed_vm(), system) is None


@pytest.mark.parametrize(
    ("system", "reason"), [(Kernel(runs=False), "its QEMU was not found"), (RemoteFakeSystem(), "a remote URI")]
)
def test_it_cannot_be_set_where_qemu_cannot_be_seen(system: FakeSystem, reason: str) -> None:
    with pytest.raises(VmError, match=reason) as caught:
        set_oom_score(parsed_vm(), system, 100)
    assert caught.value.code == "command_failed"


def test_it_is_as_before_after_a_rollback() -> None:
    kernel = Kernel()
    action = SetOomScore(100, before=300)
    outcome = action.do(context_of(FakeHypervisor({UUID: FakeDomain()}), kernel))
    assert (action.name, kernel.scores) == ("set_oom_score", {7: 100})
    assert outcome.undo is not None
    outcome.undo()
    assert kernel.scores == {7: 300}
