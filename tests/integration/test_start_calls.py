# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of libvirt calls: a constant, plus at most three per VM that is in sync, eight per new VM, nine
per other VM that starts.

A secret that the hypervisor does not have yet is created once, whichever VMs use it, and is counted separately.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import predicted
from ansible_collections.zstack.kvm.tests.support.forked_task import start
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.servers import IscsiServer
from ansible_collections.zstack.kvm.tests.support.virsh import try_virsh, virsh

Counted = Callable[..., int]
# Opening, both kinds of capabilities; all domains, suspended ones, those that start with the host, transient ones.
CONSTANT = 7
# All secrets, and those that are private.
SECRETS = 2
# Looking for it, defining it, setting its value.
NEW_SECRET = 3
# What check mode returns about the hypervisor: its UUID, its hostname and its active domains
ACTIVE_VMS = 3
# Runs zstack_vm_start with the arguments, and prints the names of all modules after its result.
NAMES_OF_MODULES = """
import sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.zstack.kvm.plugins.modules import zstack_vm_start
import json
with patch_module_args(json.loads(sys.argv[1])):
    try:
        zstack_vm_start.main()
    except SystemExit:
        pass
print(*sys.modules)
"""
IQN = "iqn.2026-01.org.example:calls"
CHAP = ("user", "pa55word")


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    """Yield a function that starts VMs and returns the number of calls."""
    calls = tmp_path / "calls"

    def counting(*vms: dict[str, Any], **options: Any) -> TaskRun:
        calls.write_text("")
        return start(*vms, calls=calls, **options)

    def run(*vms: dict[str, Any], **options: Any) -> int:
        done = counting(*vms, **options) if "check" in options else predicted.agreed(counting, *vms, **options)
        assert not done.failed, done.output
        return len(calls.read_text().splitlines())

    return run


def begin_with(*vms: dict[str, Any]) -> None:
    """Start VMs before anything is counted."""
    done = start(*vms)
    assert not done.failed, done.output


@pytest.fixture(scope="module")
def chap_volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Yield a volume behind a portal that requires a password."""
    lun = tmp_path_factory.mktemp("luns") / "lun.raw"
    lun.write_bytes(bytes(1 << 20))
    with IscsiServer() as server:
        server.add_target(IQN, lun, chap=CHAP)
        path = server.install_path(IQN)
        yield {"install_path": path, "device_type": "iscsi", "chap_username": CHAP[0], "chap_password": CHAP[1]}


@pytest.fixture(autouse=True)
def no_secrets() -> Iterator[None]:
    """Remove the secrets that a test left."""
    yield
    for line in virsh("secret-list").splitlines()[2:]:
        if line.strip():
            try_virsh("secret-undefine", line.split()[0])


def ceph_secret() -> dict[str, str]:
    """Return a secret that no hypervisor has."""
    return {"uuid": str(uuid.uuid4()), "key": base64.b64encode(bytes(28)).decode("ascii")}


def everything(new_vm: NewVm, **options: Any) -> dict[str, Any]:
    """Return a VM that causes every query of libvirt that a VM with file volumes can cause."""
    return new_vm(autostart=True, nics=[{"bridge_name": "br_eth0"}], console_password="secret", **options)


def test_a_run_that_changes_nothing(new_vm: NewVm, counted: Counted) -> None:
    vms = [everything(new_vm) for _number in range(3)]
    begin_with(*vms)
    one, three = counted(vms[0]), counted(*vms)
    assert one <= CONSTANT + 3
    assert three - one == 2 * (one - CONSTANT)


def test_a_run_that_changes_nothing_imports_nothing_that_changes_vms(new_vm: NewVm) -> None:
    vm = everything(new_vm)
    begin_with(vm)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", NAMES_OF_MODULES, json.dumps({"vms": [vm]})]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    result, names = done.stdout.strip().split("\n")
    assert json.loads(result)["vms"][0]["state"] == "running" and not json.loads(result)["changed"], result
    imported = [name.partition("module_utils.")[2] for name in names.split()]
    assert "_drift.live_drift" in imported
    assert [name for name in imported if name.startswith(("_actions", "_diagnostics", "_start.execution"))] == []


def test_a_run_that_changes_nothing_of_vms_with_secrets(
    new_vm: NewVm, counted: Counted, chap_volume: dict[str, Any]
) -> None:
    secret = ceph_secret()
    vms = [everything(new_vm, ceph_secret=secret, data_volumes=[chap_volume]) for _number in range(3)]
    begin_with(*vms)
    one, three = counted(vms[0]), counted(*vms)
    assert one <= CONSTANT + SECRETS + 3
    assert three - one == 2 * (one - CONSTANT - SECRETS)


def test_check_mode(new_vm: NewVm, counted: Counted) -> None:
    assert counted(everything(new_vm), check=True) <= CONSTANT + ACTIVE_VMS + 5


def test_check_mode_of_vms_that_are_off(new_vm: NewVm, counted: Counted) -> None:
    vms = [new_vm() for _number in range(3)]
    begin_with(*vms)
    for vm in vms:
        virsh("destroy", vm["uuid"])
    assert counted(*vms, check=True) <= CONSTANT + ACTIVE_VMS + 3


def test_new_vms(new_vm: NewVm, counted: Counted) -> None:
    assert counted(everything(new_vm)) <= CONSTANT + 8


def test_new_vms_of_one_target_with_chap(new_vm: NewVm, counted: Counted, chap_volume: dict[str, Any]) -> None:
    vms = [everything(new_vm, data_volumes=[chap_volume]) for _number in range(3)]
    assert counted(*vms, parallel=1) <= CONSTANT + SECRETS + 3 * 8


def test_new_vms_of_a_target_each(new_vm: NewVm, counted: Counted, chap_volume: dict[str, Any]) -> None:
    assert counted(everything(new_vm, data_volumes=[chap_volume])) <= CONSTANT + SECRETS + 8


def test_new_vms_of_one_ceph_cluster(new_vm: NewVm, counted: Counted) -> None:
    secret = ceph_secret()
    vms = [everything(new_vm, ceph_secret=secret) for _number in range(3)]
    assert counted(*vms, parallel=1) <= CONSTANT + SECRETS + NEW_SECRET + 3 * 8


def test_vms_that_are_off(new_vm: NewVm, counted: Counted) -> None:
    vm = everything(new_vm)
    begin_with(vm)
    virsh("destroy", vm["uuid"])
    assert counted(vm) <= CONSTANT + 9


def test_vms_that_are_off_and_whose_secrets_are_there(
    new_vm: NewVm, counted: Counted, chap_volume: dict[str, Any]
) -> None:
    vm = everything(new_vm, ceph_secret=ceph_secret(), data_volumes=[chap_volume])
    begin_with(vm)
    virsh("destroy", vm["uuid"])
    assert counted(vm) <= CONSTANT + SECRETS + 9


def test_vms_that_are_off_and_not_in_sync(new_vm: NewVm, counted: Counted) -> None:
    vm = everything(new_vm)
    begin_with(vm)
    virsh("destroy", vm["uuid"])
    assert counted({**vm, "cpu_num": 2, "autostart": False}) <= CONSTANT + 9


def test_vms_that_are_off_and_not_in_sync_with_a_secret_that_is_there(
    new_vm: NewVm, counted: Counted, chap_volume: dict[str, Any]
) -> None:
    for secret in ({"ceph_secret": ceph_secret()}, {"data_volumes": [chap_volume]}):
        vm = everything(new_vm, **secret)
        begin_with(vm)
        virsh("destroy", vm["uuid"])
        assert counted({**vm, "cpu_num": 2}) <= CONSTANT + SECRETS + 9
