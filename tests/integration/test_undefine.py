# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that libvirt keeps beside a VM's definition stay when it is undefined, unless their removal is requested."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor, Removal
from ansible_collections.zstack.kvm.plugins.module_utils._stop.stop import StopRequest, stop_vms
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import swtpm
from ansible_collections.zstack.kvm.tests.support.failing_start import UNKNOWN_TO_QEMU
from ansible_collections.zstack.kvm.tests.support.in_process import failed, hypervisor, start
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state, virsh

TPM_BACKEND = "<backend type='emulator' version='2.0'/>"
PERSISTENT_TPM_BACKEND = "<backend type='emulator' version='2.0' persistent_state='yes'/>"


def add_tpm(backend: str = TPM_BACKEND) -> dict[str, Any]:
    """Return the domain patch that adds a virtual TPM."""
    return {"action": "add", "xpath": "/domain/devices", "value": f"<tpm model='tpm-crb'>{backend}</tpm>"}


def started(vm: dict[str, Any]) -> None:
    """Start the VM."""
    run = start(vm)
    assert not run.failed, run.error


def undefine(vm: dict[str, Any], *removed: str) -> dict[str, Any]:
    """Force the VM off, undefine it, remove what is named, and return its entry."""
    removal = Removal(**dict.fromkeys(removed, True))
    order = StopRequest(0, True, True, removal, check_mode=False, diff=False, cancelled=threading.Event())
    (result,) = stop_vms(hypervisor(), HostSystem(), [vm["uuid"]], order)
    return result.as_entry()


def is_undefined(vm: dict[str, Any], *removed: str) -> bool:
    """Return whether the VM can be undefined with these flags."""
    entry = undefine(vm, *removed)
    assert "error" not in entry, entry["error"]
    return entry["actions"][-1] == "undefine" and state(vm["uuid"]) == "absent"


def tpm_state(vm: dict[str, Any]) -> Path:
    """Return the file that swtpm keeps of the VM's TPM."""
    return swtpm.state_of(vm["uuid"])


def nvram(vm: dict[str, Any]) -> Path:
    """Return the file with the variables of the running VM's firmware."""
    return Path(definition(vm["uuid"], inactive=False).findtext("os/nvram"))


@pytest.fixture(scope="module", autouse=True)
def _certificate_authority() -> None:
    swtpm.give_authority_to_libvirt()


@pytest.fixture
def vm(new_vm: NewVm) -> Iterator[dict[str, Any]]:
    """Yield a VM with a TPM, whose state is removed after the test."""
    described = new_vm(domain_patches=[add_tpm()])
    yield described
    swtpm.remove_state_of(described["uuid"])


def test_firmware_and_tpm_keep_their_state_until_its_removal_is_requested_by_name(vm: dict[str, Any]) -> None:
    vm = {**vm, "machine": "q35", "firmware": "uefi", "memory": "160MiB"}
    started(vm)
    tpm, variables = tpm_state(vm), nvram(vm)
    endorsed = tpm.read_bytes()
    assert is_undefined(vm)
    assert (tpm.read_bytes() == endorsed, variables.exists()) == (True, True)
    started(vm)
    assert is_undefined(vm, "tpm")
    assert (tpm.exists(), variables.exists()) == (False, True)
    started(vm)
    task = {
        "vms": [vm["uuid"]], "timeout": 0, "force": True, "undefine": True, "nvram": "remove", "tpm": "remove",
    }  # fmt: skip
    run_tasks([{"zstack.kvm.zstack_vm_stop": task}])
    assert (tpm.exists(), variables.exists()) == (False, False)


def test_a_definition_that_is_undone_takes_the_tpm_state_of_its_own_run_only(vm: dict[str, Any]) -> None:
    broken = {**vm, "domain_patches": [add_tpm(), UNKNOWN_TO_QEMU]}
    assert failed(broken).error["rollback"] == "done"
    assert not tpm_state(vm).exists()
    started(vm)
    assert is_undefined(vm)
    endorsed = tpm_state(vm).read_bytes()
    assert failed(broken).error["rollback"] == "done"
    assert (state(vm["uuid"]), tpm_state(vm).read_bytes() == endorsed) == ("absent", True)


class TestLibvirtThatCannotKeepTpms:
    """The laboratory has no libvirt before 8.9.0: this one is called without its flags for TPMs."""

    @pytest.fixture(autouse=True)
    def _old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Hypervisor, "can_keep_tpm", lambda hypervisor: False)

    def test_the_vm_is_left_alone(self, vm: dict[str, Any]) -> None:
        started(vm)
        assert undefine(vm)["error"]["code"] == "vm_has_tpm_state"
        assert state(vm["uuid"]) == "running"
        assert is_undefined(vm, "tpm")
        assert not tpm_state(vm).exists()

    def test_a_state_that_its_definition_calls_persistent_is_kept(self, vm: dict[str, Any]) -> None:
        vm = {**vm, "domain_patches": [add_tpm(PERSISTENT_TPM_BACKEND)]}
        started(vm)
        assert is_undefined(vm)
        assert tpm_state(vm).exists()

    def test_a_definition_stays_where_undoing_it_would_lose_the_state(self, vm: dict[str, Any]) -> None:
        tpm_state(vm).parent.mkdir(parents=True)
        tpm_state(vm).touch()
        run = failed({**vm, "domain_patches": [add_tpm(), UNKNOWN_TO_QEMU]})
        assert (run.error["rollback"], state(vm["uuid"])) == ("partial", "shut off")
        assert tpm_state(vm).exists()


def test_a_transient_vm_with_a_tpm_or_checkpoints_is_left_alone(vm: dict[str, Any]) -> None:
    started(vm)
    running = virsh("dumpxml", "--security-info", vm["uuid"])
    assert is_undefined(vm)
    virsh("create", "/dev/stdin", stdin=running)
    assert undefine(vm)["error"]["code"] == "vm_has_tpm_state"
    virsh("checkpoint-create-as", vm["uuid"], "since_then")
    assert undefine(vm, "tpm")["error"]["code"] == "vm_has_snapshots"
    assert state(vm["uuid"]) == "running"
    assert undefine(vm, "tpm", "checkpoints")["state"] == "absent"
    assert state(vm["uuid"]) == "absent"


def test_checkpoints_are_forgotten_only_by_name(new_vm: NewVm) -> None:
    vm = new_vm()
    started(vm)
    virsh("checkpoint-create-as", vm["uuid"], "since_then")
    assert undefine(vm, "snapshots")["error"]["code"] == "vm_has_snapshots"
    assert state(vm["uuid"]) == "running"
    assert is_undefined(vm, "checkpoints")


def test_saved_memory_is_removed_only_by_name_also_by_force(new_vm: NewVm) -> None:
    vm = new_vm()
    started(vm)
    virsh("managedsave", vm["uuid"])
    entry = undefine(vm)
    assert (entry["error"]["code"], entry["actions"]) == ("vm_has_saved_state", [])
    assert vm["uuid"] in virsh("list", "--all", "--with-managed-save", "--uuid")
    assert is_undefined(vm, "saved_state")
