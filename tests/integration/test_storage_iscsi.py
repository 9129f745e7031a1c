# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs on iSCSI through QEMU's own initiator: a real target, with CHAP and without."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._storage.iscsi import chap_secret_uuid
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media, module_run, playbook
from ansible_collections.zstack.kvm.tests.support.failing_start import UNKNOWN_TO_QEMU
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.servers import IscsiServer
from ansible_collections.zstack.kvm.tests.support.virsh import (
    definition,
    definition_of_secret,
    qmp,
    state,
    try_virsh,
    virsh,
)

OPEN, LOCKED = "iqn.2024-01.io.zstack:open", "iqn.2024-01.io.zstack:i-s-c.locked"
USER, PASSWORD = "zs", "p%ss,w@rd=1234"
CHAP = {"chap_username": USER, "chap_password": PASSWORD}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IscsiServer]:
    """Yield a server with two targets of two LUNs each, one of which requires CHAP."""
    directory = tmp_path_factory.mktemp("luns")
    with IscsiServer() as server:
        for name, chap in ((OPEN, None), (LOCKED, (USER, PASSWORD))):
            luns = [media.write_raw(directory / ("%s-%d" % (name, lun)), "I am LUN %d" % lun) for lun in (1, 2)]
            server.add_target(name, *luns, chap=chap)
        yield server


@pytest.fixture(autouse=True)
def no_secret() -> Iterator[None]:
    """Remove the secret of the target that a test left."""
    yield
    for line in virsh("secret-list").splitlines():
        if LOCKED in line:
            virsh("secret-undefine", line.split()[0])


@pytest.fixture
def host_names() -> Iterator[None]:
    """Define names for this hypervisor that begin with the letters of "iscsi"."""
    hosts = Path("/etc/hosts")
    before = hosts.read_text(encoding="utf-8")
    hosts.write_text(before + "127.0.0.1 iscsi san c\n", encoding="utf-8")
    yield
    hosts.write_text(before, encoding="utf-8")


def volume(target: IscsiServer, iqn: str, lun: int = 1, **options: Any) -> dict[str, Any]:
    return {"device_type": "iscsi", "install_path": target.install_path(iqn, lun), **options}


def define_secret(value: str) -> str:
    """Return a secret of the target that somebody else created."""
    identity = str(uuid.uuid4())
    xml = "<secret ephemeral='yes' private='no'><uuid>%s</uuid><usage type='iscsi'><target>%s</target></usage></secret>"
    virsh("secret-define", "/dev/stdin", stdin=xml % (identity, LOCKED))
    virsh("secret-set-value", identity, "--plain", "--file", "/dev/stdin", stdin=value)
    return identity


def secret_in_definition(vm: dict[str, Any]) -> str:
    return definition(vm["uuid"]).find("devices/disk/source/auth/secret[@type='iscsi']").get("uuid")


def test_a_guest_boots_from_a_lun(new_vm: NewVm, target: IscsiServer) -> None:
    vm = new_vm(root_volume=volume(target, OPEN, 2))
    run = playbook.agreed(vm)
    assert run.actions == ["define", "start"]
    wait_for_text(vm["uuid"], "I am LUN 2")
    again = module_run.agreed(vm)
    assert (again.result["changed"], again.actions) == (False, [])


def test_a_guest_boots_from_a_lun_with_chap(new_vm: NewVm, target: IscsiServer) -> None:
    vm = new_vm(root_volume=volume(target, LOCKED, **CHAP))
    run = playbook.agreed(vm, verbosity=3)
    assert run.actions == ["define", "define_secret", "start"]
    assert PASSWORD not in run.output
    wait_for_text(vm["uuid"], "I am LUN 1")
    secret = definition_of_secret(chap_secret_uuid(LOCKED))
    assert dict(secret.attrib) == {"ephemeral": "yes", "private": "yes"}
    assert (secret.find("usage").get("type"), secret.findtext("usage/target")) == ("iscsi", LOCKED)
    assert playbook.agreed(vm).actions == []


def test_the_guest_has_a_data_volume_with_chap(new_vm: NewVm, target: IscsiServer) -> None:
    vm = new_vm(data_volumes=[volume(target, LOCKED, 2, **CHAP)])
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], "I am " + vm["uuid"])
    assert target.sessions(LOCKED) == 1
    (drive,) = [each for each in qmp(vm["uuid"], "query-block") if "scsi" in (each["qdev"] or "")]
    assert drive["inserted"]["image"]["virtual-size"] == media.DISK_BYTES


def test_a_portal_may_have_an_ipv6_address(new_vm: NewVm, target: IscsiServer) -> None:
    vm = new_vm(root_volume={"device_type": "iscsi", "install_path": target.install_path(OPEN, 1, "::1")})
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], "I am LUN 1")


@pytest.mark.parametrize("host", ["iscsi", "san", "c"])
def test_a_portal_may_have_a_name_of_any_letters(
    new_vm: NewVm, target: IscsiServer, host_names: None, host: str
) -> None:
    path = "iscsi://%s:%d/%s/1" % (host, target.port, OPEN)
    vm = new_vm(root_volume={"device_type": "iscsi", "install_path": path})
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], "I am LUN 1")


def test_limits_hold_and_a_lun_is_always_shared(new_vm: NewVm, target: IscsiServer) -> None:
    vms = [new_vm(root_volume=volume(target, OPEN, qos={"total_iops": 321})) for _number in range(2)]
    assert not module_run.agreed(*vms).failed
    for vm in vms:
        (drive,) = [each for each in qmp(vm["uuid"], "query-block") if "scsi" in (each["qdev"] or "")]
        assert (drive["inserted"]["iops_rd"], drive["inserted"]["iops_wr"]) == (321, 321)
        wait_for_text(vm["uuid"], "I am LUN 1")


class TestSecret:
    def test_one_that_the_hypervisor_has_for_the_target_is_used(self, new_vm: NewVm, target: IscsiServer) -> None:
        identity = define_secret(PASSWORD)
        vm = new_vm(root_volume=volume(target, LOCKED, **CHAP))
        assert module_run.agreed(vm).actions == ["define", "start"]
        assert secret_in_definition(vm) == identity
        wait_for_text(vm["uuid"], "I am LUN 1")

    def test_one_with_a_wrong_password_is_repaired(self, new_vm: NewVm, target: IscsiServer) -> None:
        define_secret("an old password")
        vm = new_vm(root_volume=volume(target, LOCKED, **CHAP))
        assert module_run.agreed(vm).actions == ["define", "set_secret_value", "start"]
        wait_for_text(vm["uuid"], "I am LUN 1")

    def test_one_that_went_with_a_reboot_comes_back_as_it_was(self, new_vm: NewVm, target: IscsiServer) -> None:
        vm = new_vm(root_volume=volume(target, LOCKED, **CHAP))
        module_run.start(vm)
        virsh("destroy", vm["uuid"])
        virsh("secret-undefine", secret_in_definition(vm))
        assert module_run.agreed(vm).actions == ["define_secret", "start"]
        wait_for_text(vm["uuid"], "I am LUN 1")

    def test_several_vms_of_one_target_have_one(self, new_vm: NewVm, target: IscsiServer) -> None:
        vms = [new_vm(root_volume=volume(target, LOCKED, lun, **CHAP)) for lun in (1, 2)]
        # If several started at once, it would be a matter of chance which one creates it.
        assert not module_run.agreed(*vms, parallel=1).failed
        assert {secret_in_definition(vm) for vm in vms} == {chap_secret_uuid(LOCKED)}
        assert {state(vm["uuid"]) for vm in vms} == {"running"}

    def test_a_failed_start_removes_the_one_that_it_created(self, new_vm: NewVm, target: IscsiServer) -> None:
        vm = new_vm(root_volume=volume(target, LOCKED, **CHAP), domain_patches=[UNKNOWN_TO_QEMU])
        assert module_run.failed(vm).error["rollback"] == "done"
        assert try_virsh("secret-dumpxml", chap_secret_uuid(LOCKED)).returncode != 0

    def test_a_failed_start_leaves_the_one_that_another_vm_uses(self, new_vm: NewVm, target: IscsiServer) -> None:
        broken = new_vm(root_volume=volume(target, LOCKED, 1, **CHAP), domain_patches=[UNKNOWN_TO_QEMU])
        good = new_vm(root_volume=volume(target, LOCKED, 2, **CHAP))
        module_run.failed(broken, good)
        assert [state(vm["uuid"]) for vm in (broken, good)] == ["absent", "running"]
        definition_of_secret(chap_secret_uuid(LOCKED))


def test_two_passwords_for_one_target_are_an_error_before_anything_is_touched(
    new_vm: NewVm, target: IscsiServer
) -> None:
    vms = [
        new_vm(root_volume=volume(target, LOCKED, 1, **CHAP)),
        new_vm(root_volume=volume(target, LOCKED, 2, chap_username=USER, chap_password="another one")),
    ]
    run = module_run.agreed(*vms)
    assert run.failed
    assert "vms[1].root_volume.chap_password" in run.result["msg"]
    assert [state(vm["uuid"]) for vm in vms] == ["absent", "absent"]
    assert all(text not in run.output for text in (PASSWORD, "another one"))
