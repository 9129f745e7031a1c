# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are shut down, forced off and undefined, and what is removed with them."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor, Removal
from ansible_collections.zstack.kvm.plugins.module_utils._stop.stop import StopRequest, stop_vms
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor, start
from ansible_collections.zstack.kvm.tests.support.obedient_guest import wait_until_up, write_obedient_disk
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks
from ansible_collections.zstack.kvm.tests.support.virsh import state, try_virsh, virsh

MODULE = "zstack.kvm.zstack_vm_stop"


def stop(*vms: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Run the module with these VMs, and return their entries."""
    fields = {
        "timeout": 60, "force": False, "undefine": False, "removal": Removal(), "check_mode": False, "diff": True,
        **options,
    }  # fmt: skip
    request = StopRequest(**fields, cancelled=threading.Event())
    results = stop_vms(hypervisor(), HostSystem(), [vm["uuid"] for vm in vms], request)
    return [result.as_entry() for result in results]


def obedient(new_vm: NewVm, images: Path, **options: Any) -> dict[str, Any]:
    """Return a VM that shuts down on request."""
    disk = write_obedient_disk(images / f"{uuid.uuid4()}.raw")
    return new_vm(root_volume={"install_path": str(disk), "format": "raw"}, **options)


def test_check_mode_predicts_a_shutdown_and_a_second_run_does_nothing(new_vm: NewVm, images: Path) -> None:
    vm = obedient(new_vm, images)
    start(vm)
    task = {MODULE: {"vms": [vm["uuid"].replace("-", "")]}}
    predicted, real, again = run_tasks([{**task, "check_mode": True}, task, task])
    for result in (predicted, real):
        (entry,) = result["vms"]
        assert (entry["uuid"], entry["name"]) == (vm["uuid"], vm["name"])
        assert (result["changed"], entry["actions"]) == (True, ["shutdown"])
    assert predicted["diff"] == real["diff"]
    assert predicted["vms"][0]["state"] == "running"
    assert real["vms"][0]["state"] == "shutoff"
    assert (again["changed"], again["vms"][0]["actions"]) == (False, [])
    assert state(vm["uuid"]) == "shut off"


def test_a_guest_that_ignores_the_request_is_an_error_and_is_forced_off_only_with_force(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    (entry,) = stop(vm, timeout=2)
    assert (entry["error"]["code"], entry["error"]["phase"]) == ("shutdown_timeout", "shutdown")
    assert state(vm["uuid"]) == "running"
    (entry,) = stop(vm, timeout=2, force=True)
    assert (entry["actions"], entry["state"]) == (["shutdown", "destroy"], "shutoff")
    assert state(vm["uuid"]) == "shut off"


@contextmanager
def hanging_qemu(vm: dict[str, Any]) -> Iterator[None]:
    """Suspend the VM's QEMU."""
    pid = int(Path(f"/run/libvirt/qemu/{vm['uuid'].replace('-', '')}.pid").read_text(encoding="ascii"))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_hanging_qemu_is_forced_off_and_delays_no_other_vm(new_vm: NewVm, images: Path) -> None:
    hanging, other = new_vm(), obedient(new_vm, images)
    start(hanging, other)
    wait_until_up(other["uuid"])
    with hanging_qemu(hanging):
        began = time.monotonic()
        ended, stopped = stop(hanging, other, timeout=8, force=True)
        # libvirt itself waits for ten seconds before it kills a QEMU that doesn't react.
        assert time.monotonic() - began < 100
    assert (ended["actions"], ended["state"]) == (["shutdown", "destroy"], "shutoff")
    assert (stopped["actions"], stopped["state"]) == (["shutdown"], "shutoff")
    assert state(hanging["uuid"]) == "shut off"


def test_a_paused_vm_is_an_error_and_is_forced_off_only_with_force(new_vm: NewVm) -> None:
    vm = new_vm()
    start(vm)
    virsh("suspend", vm["uuid"])
    (entry,) = stop(vm)
    assert (entry["error"]["code"], entry["changed"]) == ("vm_not_running", False)
    assert state(vm["uuid"]) == "paused"
    (entry,) = stop(vm, force=True)
    assert (entry["actions"], entry["state"]) == (["destroy"], "shutoff")


def test_an_undefined_vm_leaves_its_disk_and_its_nvram_goes_only_on_request(new_vm: NewVm) -> None:
    for remove_nvram in (False, True):
        vm = new_vm(machine="q35", firmware="uefi", memory="160MiB")
        start(vm)
        nvram = Path(hypervisor().xml(vm["uuid"], inactive=False).partition("<nvram")[2].split(">")[1].split("<")[0])
        assert nvram.exists()
        (entry,) = stop(vm, timeout=0, force=True, undefine=True, removal=Removal(nvram=remove_nvram))
        assert (entry["actions"], entry["state"]) == (["destroy", "undefine"], "absent")
        assert state(vm["uuid"]) == "absent"
        assert nvram.exists() is not remove_nvram
        assert Path(vm["root_volume"]["install_path"]).exists()
        nvram.unlink(missing_ok=True)


def test_snapshots_keep_a_vm_from_being_undefined_unless_they_may_go(
    new_vm: NewVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = new_vm()
    start(vm)
    stop(vm, timeout=0, force=True)
    virsh("snapshot-create-as", vm["uuid"], "before")
    (entry,) = stop(vm, undefine=True)
    assert (entry["error"]["code"], state(vm["uuid"])) == ("vm_has_snapshots", "shut off")
    with monkeypatch.context() as made_after_the_look:
        made_after_the_look.setattr(Hypervisor, "snapshot_count", lambda hypervisor, uuid: 0)
        (entry,) = stop(vm, undefine=True)
    assert (entry["error"]["phase"], state(vm["uuid"])) == ("undefine", "shut off")
    (entry,) = stop(vm, undefine=True, removal=Removal(snapshots=True))
    assert (entry["actions"], state(vm["uuid"])) == (["undefine"], "absent")


def test_a_vm_that_does_not_exist_is_stopped() -> None:
    (entry,) = stop({"uuid": str(uuid.uuid4())}, undefine=True)
    assert (entry["state"], entry["changed"], entry["actions"]) == ("absent", False, [])


def test_the_secret_of_two_vms_goes_with_the_second(new_vm: NewVm) -> None:
    secret = str(uuid.uuid4())
    xml = (
        f"<secret ephemeral='yes' private='no'><uuid>{secret}</uuid>"
        f"<usage type='ceph'><name>{secret}</name></usage></secret>"
    )
    virsh("secret-define", "/dev/stdin", stdin=xml)
    vms = [new_vm(), new_vm()]
    for vm in vms:
        virsh("define", "/dev/stdin", stdin=domain_with_secret(vm["uuid"], secret))
    (first,) = stop(vms[0], undefine=True)
    assert first["actions"] == ["undefine"]
    assert try_virsh("secret-dumpxml", secret).returncode == 0
    (second,) = stop(vms[1], undefine=True)
    assert second["actions"] == ["undefine", "remove_secret"]
    assert try_virsh("secret-dumpxml", secret).returncode != 0


def domain_with_secret(identity: str, secret: str) -> str:
    """Return a domain that is only defined, with a disk in a ceph cluster that need not exist."""
    return (
        f"<domain type='qemu'><name>{identity}</name><uuid>{identity}</uuid><memory>32768</memory>"
        "<os><type arch='x86_64'>hvm</type></os><devices><disk type='network'><source protocol='rbd' name='pool/image'>"
        f"<host name='127.0.0.1' port='6789'/><auth username='zstack'><secret type='ceph' uuid='{secret}'/></auth>"
        "</source><target dev='vda' bus='virtio'/></disk></devices></domain>"
    )


def test_the_socket_that_a_channel_left_behind_is_removed(new_vm: NewVm, images: Path) -> None:
    path = images / "agent.sock"
    vm = new_vm(channels=[{"socket_path": str(path), "target_name": "org.qemu.guest_agent.0"}])
    start(vm)
    stop(vm, timeout=0, force=True)
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    (predicted,) = stop(vm, check_mode=True)
    (entry,) = stop(vm)
    assert predicted["actions"] == entry["actions"] == ["remove_channel_socket"]
    assert not path.exists()
