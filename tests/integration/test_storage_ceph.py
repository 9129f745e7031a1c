# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs in ceph: a real cluster of one monitor and one OSD, a guest that boots from it."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import media, module_run, playbook
from ansible_collections.zstack.kvm.tests.support.failing_start import UNKNOWN_TO_QEMU
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.servers import CephCluster
from ansible_collections.zstack.kvm.tests.support.virsh import (
    definition,
    definition_of_secret,
    qmp,
    state,
    try_virsh,
    virsh,
)

ODD_POOL, ODD_IMAGE = "p:o,o l", "i@m:a,g=e\\ %41/é"


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephCluster]:
    """Yield a cluster with the pools pool (image vol), bak (image iso, snapshot snap) and one with an odd name."""
    with CephCluster(pools=["pool", "bak", ODD_POOL]) as cluster:
        disk = media.write_raw(tmp_path_factory.mktemp("ceph") / "disk", "I am in ceph").read_bytes()
        cluster.write_image("pool", "vol", disk)
        cluster.write_image(ODD_POOL, ODD_IMAGE, disk)
        cluster.write_image("bak", "iso", media.cd_image("I am a CD in ceph"))
        cluster.snapshot("bak", "iso", "snap")
        yield cluster


@pytest.fixture
def secret_uuid() -> Iterator[str]:
    """Yield the UUID of a secret, which is removed after the test."""
    value = str(uuid.uuid4())
    yield value
    try_virsh("secret-undefine", value)


def root(cluster: CephCluster, install_path: str = "ceph://pool/vol", **options: Any) -> dict[str, Any]:
    return {"device_type": "ceph", "install_path": install_path, "mon_info": cluster.monitors, **options}


def in_ceph(new_vm: NewVm, cluster: CephCluster, secret_uuid: str, **options: Any) -> dict[str, Any]:
    """Return a VM with its root volume in ceph that brings its secret along."""
    return new_vm(
        root_volume=root(cluster, secret_uuid=secret_uuid),
        **{"ceph_secret": {"uuid": secret_uuid, "key": cluster.key}, **options},
    )


def value_of(secret_uuid: str) -> str:
    return virsh("secret-get-value", secret_uuid)


def test_a_guest_boots_from_ceph_with_the_secret_that_it_brings_along(
    new_vm: NewVm, ceph: CephCluster, secret_uuid: str
) -> None:
    vm = in_ceph(new_vm, ceph, secret_uuid)
    run = playbook.agreed(vm, verbosity=3)
    assert run.actions == ["define", "define_secret", "start"]
    assert ceph.key not in run.output
    wait_for_text(vm["uuid"], "I am in ceph")
    element = definition_of_secret(secret_uuid)
    assert dict(element.attrib) == {"ephemeral": "yes", "private": "no"}
    assert (element.find("usage").get("type"), element.findtext("usage/name")) == ("ceph", secret_uuid)
    assert value_of(secret_uuid) == ceph.key
    again = module_run.agreed(vm)
    assert (again.result["changed"], again.actions) == (False, [])


def test_a_guest_boots_from_a_cd_that_is_a_snapshot(new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
    cd = {"path": "ceph://bak/iso@snap", "mon_info": ceph.monitors, "secret_uuid": secret_uuid}
    vm = in_ceph(new_vm, ceph, secret_uuid, boot_iso=[cd], boot_dev=["cdrom", "hd"])
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], "I am a CD in ceph")
    (drive,) = [each for each in qmp(vm["uuid"], "query-block") if each["qdev"] == "ide0-0-1"]
    assert drive["inserted"]["ro"]


def test_names_with_unusual_characters_are_taken_literally(new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
    vm = in_ceph(new_vm, ceph, secret_uuid)
    vm["root_volume"]["install_path"] = "ceph://%s/%s" % (ODD_POOL, ODD_IMAGE)
    assert module_run.agreed(vm).actions == ["define", "define_secret", "start"]
    wait_for_text(vm["uuid"], "I am in ceph")
    assert module_run.agreed(vm).actions == []


def test_one_monitor_of_several_that_answers_is_enough(new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
    vm = in_ceph(new_vm, ceph, secret_uuid)
    vm["root_volume"]["mon_info"] = [{"hostname": "127.0.0.1", "port": 1}, {"hostname": "localhost", "port": ceph.port}]
    assert not module_run.agreed(vm).failed
    wait_for_text(vm["uuid"], "I am in ceph")


def test_a_monitor_may_have_an_ipv6_address(new_vm: NewVm, secret_uuid: str, tmp_path: Path) -> None:
    with CephCluster(address="::1") as cluster:
        cluster.write_image("pool", "vol", media.write_raw(tmp_path / "disk", "I am in ceph").read_bytes())
        vm = in_ceph(new_vm, cluster, secret_uuid)
        assert not module_run.agreed(vm).failed
        wait_for_text(vm["uuid"], "I am in ceph")
        virsh("destroy", vm["uuid"])


def test_a_cluster_without_cephx_needs_no_secret(new_vm: NewVm, tmp_path: Path) -> None:
    with CephCluster(cephx=False) as cluster:
        cluster.write_image("pool", "vol", media.write_raw(tmp_path / "disk", "I am in ceph").read_bytes())
        vm = new_vm(root_volume=root(cluster))
        assert module_run.agreed(vm).actions == ["define", "start"]
        wait_for_text(vm["uuid"], "I am in ceph")
        virsh("destroy", vm["uuid"])


def test_limits_hold_and_a_volume_can_be_shared(new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
    vms = [in_ceph(new_vm, ceph, secret_uuid) for _number in range(2)]
    for vm in vms:
        vm["root_volume"].update(shareable=True, qos={"total_bandwidth": 7000000, "total_iops": 321})
    # If several started at once, it would be a matter of chance which one creates the secret.
    assert not module_run.agreed(*vms, parallel=1).failed
    for vm in vms:
        (disk,) = [each for each in qmp(vm["uuid"], "query-block") if each["qdev"].startswith("/machine/peripheral/v")]
        limits = disk["inserted"]
        assert (limits["bps"], limits["iops_rd"], limits["iops_wr"]) == (7000000, 321, 321)
        wait_for_text(vm["uuid"], "I am in ceph")


def test_a_snapshot_in_a_file_on_top_of_the_image_is_kept(
    new_vm: NewVm, ceph: CephCluster, secret_uuid: str, images: Path
) -> None:
    vm = in_ceph(new_vm, ceph, secret_uuid)
    module_run.start(vm)
    images.chmod(0o777)
    overlay = str(images / "overlay")
    virsh("snapshot-create-as", vm["uuid"], "s1", "--disk-only", "--atomic", "--diskspec", f"vda,file={overlay}")
    assert module_run.agreed(vm).actions == []
    virsh("destroy", vm["uuid"])
    run = module_run.agreed({**vm, "cpu_num": 2})
    assert run.actions == ["define", "start"]
    assert run.vm["overlays"] == [{"target": "vda", "image": overlay, "overlay_of": "rbd:pool/vol"}]
    wait_for_text(vm["uuid"], "I am in ceph")
    assert definition(vm["uuid"], inactive=False).find("devices/disk/source").get("file") == overlay


class TestSecret:
    @pytest.mark.parametrize("before", ["wrong value", "no value", "another usage"])
    def test_one_that_exists_gets_the_right_value(
        self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str, before: str
    ) -> None:
        define_secret(secret_uuid, usage="by hand" if before == "another usage" else secret_uuid)
        if before == "wrong value":
            virsh("secret-set-value", secret_uuid, "--base64", ceph.wrong_key)
        vm = in_ceph(new_vm, ceph, secret_uuid)
        assert module_run.agreed(vm).actions == ["define", "set_secret_value", "start"]
        assert value_of(secret_uuid) == ceph.key
        wait_for_text(vm["uuid"], "I am in ceph")

    def test_one_that_has_its_value_is_left_alone(self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
        define_secret(secret_uuid)
        virsh("secret-set-value", secret_uuid, "--base64", ceph.key)
        assert module_run.agreed(in_ceph(new_vm, ceph, secret_uuid)).actions == ["define", "start"]
        assert definition_of_secret(secret_uuid).get("ephemeral") == "no"

    def test_one_of_the_hypervisor_is_used_by_vms_that_bring_none(
        self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str
    ) -> None:
        define_secret(secret_uuid)
        virsh("secret-set-value", secret_uuid, "--base64", ceph.key)
        vm = new_vm(root_volume=root(ceph, secret_uuid=secret_uuid))
        assert module_run.agreed(vm).actions == ["define", "start"]
        wait_for_text(vm["uuid"], "I am in ceph")

    def test_check_mode_creates_none(self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
        vm = in_ceph(new_vm, ceph, secret_uuid)
        assert module_run.start(vm, check=True).actions == ["define", "define_secret", "start"]
        assert try_virsh("secret-dumpxml", secret_uuid).returncode != 0

    def test_a_failed_start_leaves_what_existed(self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
        vm = in_ceph(new_vm, ceph, secret_uuid, domain_patches=[UNKNOWN_TO_QEMU])
        assert module_run.failed(vm).error["rollback"] == "done"
        assert try_virsh("secret-dumpxml", secret_uuid).returncode != 0
        define_secret(secret_uuid)
        virsh("secret-set-value", secret_uuid, "--base64", ceph.wrong_key)
        assert module_run.failed(vm).error["rollback"] == "done"
        assert value_of(secret_uuid) == ceph.wrong_key

    def test_a_failed_start_does_not_remove_it_from_another_vm(
        self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str
    ) -> None:
        broken = in_ceph(new_vm, ceph, secret_uuid, domain_patches=[UNKNOWN_TO_QEMU])
        vms = [broken, *(in_ceph(new_vm, ceph, secret_uuid) for _number in range(3))]
        for vm in vms:
            vm["root_volume"]["shareable"] = True
        run = module_run.failed(*vms)
        assert [state(vm["uuid"]) for vm in vms] == ["absent", "running", "running", "running"]
        assert run.vms[0]["error"]["rollback"] == "done"
        assert value_of(secret_uuid) == ceph.key


def define_secret(secret_uuid: str, usage: str = "") -> None:
    virsh(
        "secret-define",
        "/dev/stdin",
        stdin="<secret ephemeral='no' private='no'><uuid>%s</uuid><usage type='ceph'><name>%s</name></usage></secret>"
        % (secret_uuid, usage or secret_uuid),
    )


def test_the_definition_has_the_secret_where_libvirts_schema_wants_it(
    new_vm: NewVm, ceph: CephCluster, secret_uuid: str
) -> None:
    vm = in_ceph(new_vm, ceph, secret_uuid)
    module_run.start(vm)
    secret = definition(vm["uuid"]).find("devices/disk[@device='disk']/source/auth[@username='zstack']/secret")
    assert dict(secret.attrib) == {"type": "ceph", "uuid": secret_uuid}


@pytest.fixture(scope="module")
def golden(ceph: CephCluster) -> None:
    """Create a protected snapshot of a bootable image."""
    ceph.write_image("bak", "disk", media.boot_sector("I am golden"))
    ceph.snapshot("bak", "disk", "golden")


class TestCreated:
    """Volumes that are created with their VM."""

    def vm(self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str, name: str, **create: Any) -> dict[str, Any]:
        path = "ceph://pool/" + name
        volume = root(ceph, path, secret_uuid=secret_uuid, create={"image": "bak/disk@golden", **create})
        return new_vm(root_volume=volume, ceph_secret={"uuid": secret_uuid, "key": ceph.key})

    @pytest.mark.usefixtures("golden")
    @pytest.mark.parametrize("linked", [True, False])
    def test_a_clone_or_copy_of_a_snapshot_boots_and_grows(
        self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str, linked: bool
    ) -> None:
        name = "clone" if linked else "copy"
        features = ["layering", "exclusive-lock"]
        vm = self.vm(new_vm, ceph, secret_uuid, name, linked=linked, size="2MiB", features=features)
        run = module_run.agreed(vm)
        assert run.actions[:2] == ["create_volume", "define"], run.output
        wait_for_text(vm["uuid"], "I am golden")
        assert ceph.parent("pool", name) == ("bak/disk@golden" if linked else None)
        vm["root_volume"]["create"]["size"] = "8MiB"
        assert module_run.agreed(vm).actions == ["grow_volume"]
        assert "8.000 MiB" in virsh("domblkinfo", vm["uuid"], "vda", "--human")
        assert module_run.agreed(vm).actions == []
        vm["root_volume"]["create"]["features"] = ["layering"]
        again = module_run.agreed(vm)
        assert again.actions == []
        assert [each["before"] for each in again.vm["differences"]] == ["exclusive-lock, layering"]

    @pytest.mark.usefixtures("golden")
    def test_a_failed_start_leaves_no_volume(self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str) -> None:
        vm = {**self.vm(new_vm, ceph, secret_uuid, "gone", linked=True), "domain_patches": [UNKNOWN_TO_QEMU]}
        before = ceph.images("pool")
        run = module_run.start(vm)
        assert (run.error["code"], run.error["rollback"]) == ("qemu_failed", "done"), run.output
        assert ceph.images("pool") == before

    @pytest.mark.usefixtures("golden")
    @pytest.mark.parametrize("command", ["clone", "rename"])
    def test_a_killed_task_is_completed_by_the_next_one(
        self,
        new_vm: NewVm,
        ceph: CephCluster,
        secret_uuid: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        command: str,
    ) -> None:
        before = ceph.images("pool")
        name = f"killed-{command}"
        vm = self.vm(new_vm, ceph, secret_uuid, name, linked=True)
        program, path = tmp_path / "rbd", os.environ["PATH"]
        script = '#!/bin/sh\n%s "$@"; ended=$?\ncase " $* " in *" %s "*) kill -9 $PPID;; esac\nexit $ended\n'
        program.write_text(script % (shutil.which("rbd"), command))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, path))
        with module_run.begin(vm) as process:
            assert process.wait(60) == -signal.SIGKILL
        monkeypatch.setenv("PATH", path)
        (left,) = ceph.images("pool") - before
        assert (left == name) == (command == "rename")
        run = module_run.start(vm)
        assert not run.failed, run.output
        assert ceph.images("pool") - before == {name}

    @pytest.mark.usefixtures("golden")
    def test_a_snapshot_that_is_missing_and_a_size_below_it(
        self, new_vm: NewVm, ceph: CephCluster, secret_uuid: str
    ) -> None:
        vm = self.vm(new_vm, ceph, secret_uuid, "none", image="bak/disk@nothing")
        error = module_run.failed(vm).error
        assert (error["code"], "create.image" in error["message"]) == ("storage_missing", True)
