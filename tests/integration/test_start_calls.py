# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often libvirt is asked: a constant, at most five times a VM that is as asked, at most eight a VM that starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.forked_task import start
from ansible_collections.zstack.kvm.tests.support.virsh import virsh

Counted = Callable[..., int]
# Opening, both kinds of capabilities, all domains, those that are suspended to disk.
CONSTANT = 5


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    """Starts VMs and returns how many calls that took."""
    calls = tmp_path / "calls"

    def run(*vms: dict[str, Any], **options: Any) -> int:
        calls.write_text("")
        done = start(*vms, calls=calls, **options)
        assert not done.failed, done.output
        return len(calls.read_text().splitlines())

    return run


def everything(new_vm: NewVm) -> dict[str, Any]:
    """A VM for which everything is asked that can be asked of libvirt for file volumes."""
    return new_vm(autostart=True, nics=[{"bridge_name": "br_eth0"}], console_password="secret")


def test_a_run_that_changes_nothing(new_vm: NewVm, counted: Counted) -> None:
    vms = [everything(new_vm) for _number in range(3)]
    start(*vms)
    one, three = counted(vms[0]), counted(*vms)
    assert one <= CONSTANT + 5
    assert three - one == 2 * (one - CONSTANT)


def test_check_mode(new_vm: NewVm, counted: Counted) -> None:
    assert counted(everything(new_vm), check=True) <= CONSTANT + 5


def test_new_vms(new_vm: NewVm, counted: Counted) -> None:
    assert counted(everything(new_vm)) <= CONSTANT + 8


def test_vms_that_are_off(new_vm: NewVm, counted: Counted) -> None:
    vm = everything(new_vm)
    start(vm)
    virsh("destroy", vm["uuid"])
    assert counted(vm) <= CONSTANT + 8


def test_vms_that_are_off_and_not_as_asked(new_vm: NewVm, counted: Counted) -> None:
    vm = everything(new_vm)
    start(vm)
    virsh("destroy", vm["uuid"])
    assert counted({**vm, "cpu_num": 2, "autostart": False}) <= CONSTANT + 8
