# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypervisors with a remote uri: what works, what is refused, and a VM that is being migrated."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.laboratory import Laboratory
from ansible_collections.zstack.kvm.tests.support.module_run import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

pytestmark = pytest.mark.outside

FIRST = 130
HOSTS = ("hv130", "hv131")
ADDRESSES = ("10.98.0.140", "10.98.0.141")
# No hypervisor has it.
NOBODY = "10.98.0.200"
SLOWEST, FAST = "1", "10000"

Vm = dict[str, Any]


class Remote:
    """A hypervisor of the laboratory, as it is reached from this machine."""

    def __init__(self, laboratory: Laboratory, name: str, address: str, ssh: Path) -> None:
        self.name = name
        self.address = address
        self.uri = f"qemu+ssh://root@{address}/system?command={ssh}"
        self._laboratory = laboratory

    def virsh(self, *arguments: str) -> str:
        """Return the output of virsh on the hypervisor itself."""
        return self._laboratory.execute(self.name, "virsh", "--quiet", *arguments).strip()

    def state(self, vm: Vm) -> str:
        """Return the state of a VM, C(absent) where it isn't known."""
        return self.virsh("domstate", vm["uuid"]) if vm["uuid"] in self.virsh("list", "--all", "--uuid") else "absent"

    def says(self, vm: Vm, text: str) -> bool:
        """Return whether the guest prints something on its serial console on this hypervisor."""
        terminal = self.virsh("ttyconsole", vm["uuid"])
        command = f"timeout 60 grep --max-count=1 --fixed-strings '{text}' {terminal}"
        return text in self._laboratory.execute(self.name, "sh", "-c", command)


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """Yield storage that both hypervisors share and QEMU can read."""
    directory = Path(tempfile.mkdtemp(prefix="zstack-kvm-shared-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def hypervisors(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remote, Remote]]:
    directory = tmp_path_factory.mktemp("laboratory") / "state"
    with Laboratory(directory, FIRST, "10.98.0.0/24") as laboratory:
        laboratory.up(2, f"--bind={shared}")
        ssh = shared / "ssh"
        ssh.write_text(
            f'#!/bin/sh\nexec ssh -F none -i {directory}/key -o UserKnownHostsFile={directory}/known_hosts "$@"\n'
        )
        ssh.chmod(0o755)
        first, second = (Remote(laboratory, *each, ssh) for each in zip(HOSTS, ADDRESSES))
        yield first, second


@pytest.fixture
def here(hypervisors: tuple[Remote, Remote]) -> Remote:
    """Return one of them."""
    return hypervisors[0]


NewVm = Callable[..., Vm]


@pytest.fixture
def new_vm(hypervisors: tuple[Remote, Remote], shared: Path) -> Iterator[NewVm]:
    """Yield a function that describes a small VM whose disk both hypervisors have; options are added or replaced."""
    identities = []

    def describe(**options: Any) -> Vm:
        identity = str(uuid.uuid4())
        identities.append(identity)
        disk = media.write_raw(shared / identity, "I am " + identity)
        disk.chmod(0o666)
        vm = {"uuid": identity, "name": "remote", "memory": "32MiB", "cpu_num": 1, "domain_type": "qemu"}
        # As much as any other process: with the default, a VM starves on a busy machine.
        vm["cpu_speed"] = 1024
        return {**vm, "root_volume": {"install_path": str(disk), "format": "raw"}, **options}

    yield describe
    for remote in hypervisors:
        for identity in set(identities) & set(remote.virsh("list", "--all", "--uuid").split()):
            if identity in remote.virsh("list", "--uuid").split():
                remote.virsh("destroy", identity)
            if identity in remote.virsh("list", "--all", "--uuid").split():
                remote.virsh("undefine", identity)


class TestByARemoteUri:
    def test_check_mode_a_start_and_a_run_that_changes_nothing(self, here: Remote, new_vm: NewVm) -> None:
        vm = new_vm(console_password="secret")
        assert agreed(vm, uri=here.uri).actions == ["define", "start"]
        assert here.state(vm) == "running"
        assert here.says(vm, "I am " + vm["uuid"])
        assert agreed(vm, uri=here.uri).actions == []

    def test_the_format_of_a_file_is_read_from_libvirts_storage_pool(
        self, here: Remote, new_vm: NewVm, shared: Path
    ) -> None:
        vm = new_vm()
        del vm["root_volume"]["format"]
        here.virsh("pool-create-as", "shared", "dir", "--target", str(shared))
        try:
            run = agreed(vm, uri=here.uri)
        finally:
            here.virsh("pool-destroy", "shared")
        assert run.actions == ["define", "start"], run.output

    def test_a_format_that_libvirt_does_not_know_is_refused(self, here: Remote, new_vm: NewVm) -> None:
        vm = new_vm()
        del vm["root_volume"]["format"]
        error = failed(vm, uri=here.uri).error
        assert error["code"] == "needs_hypervisor"
        assert "vms[0].root_volume" in error["message"]
        assert "run the task on the hypervisor" in error["hint"]
        assert here.state(vm) == "absent"

    def test_a_login_of_the_hypervisor_to_iscsi_is_refused(self, here: Remote, new_vm: NewVm) -> None:
        path = "iscsi://127.0.0.1:3260/iqn.2026-01.org.example:x/1"
        vm = new_vm(data_volumes=[{"install_path": path, "device_type": "iscsi", "use_virtio": False}])
        error = failed(vm, uri=here.uri).error
        assert error["code"] == "needs_hypervisor"
        assert here.state(vm) == "absent"

    def test_what_only_libvirt_can_check_is_reported_at_the_start_and_undone(self, here: Remote, new_vm: NewVm) -> None:
        vm = new_vm(nics=[{"bridge_name": "nobridge"}])
        error = failed(vm, uri=here.uri).error
        assert (error["code"], error["rollback"]) == ("bridge_missing", "done"), error
        assert here.state(vm) == "absent"

    def test_a_missing_directory_of_a_channel_is_reported_too(self, here: Remote, new_vm: NewVm) -> None:
        channel = {"socket_path": "/var/lib/zstack-kvm-nowhere/socket", "target_name": "org.example.0"}
        vm = new_vm(channels=[channel])
        error = failed(vm, uri=here.uri).error
        assert (error["code"], error["rollback"]) == ("channel_dir_missing", "done"), error
        assert "zstack-kvm-nowhere" in error["message"]
        assert here.state(vm) == "absent"

    def test_an_unreachable_hypervisor_is_an_error_in_time(self, here: Remote, new_vm: NewVm) -> None:
        began = time.monotonic()
        error = start(new_vm(), uri=here.uri.replace(here.address, NOBODY)).error
        assert error["code"] in ("libvirt_unavailable", "libvirt_hangs")
        assert NOBODY in error["message"]
        assert time.monotonic() - began < 120


class TestMigration:
    @pytest.fixture
    def migrating(
        self, hypervisors: tuple[Remote, Remote], new_vm: NewVm, shared: Path
    ) -> Iterator[tuple[Vm, subprocess.Popen[bytes]]]:
        """Yield a VM that slowly migrates from the first hypervisor to the second, and the migration's process."""
        source, target = hypervisors
        vm = new_vm(memory="96MiB")
        disk = Path(vm["root_volume"]["install_path"])
        disk.write_bytes(media.filling_boot_sector("I am here").ljust(media.DISK_BYTES, b"\0"))
        assert not start(vm, uri=source.uri).failed
        assert source.says(vm, "I am here")
        source.virsh("migrate-setspeed", vm["uuid"], SLOWEST)
        command = ["virsh", "-c", source.uri, "migrate", "--live", "--persistent", "--undefinesource", "--unsafe"]
        process = subprocess.Popen([*command, vm["uuid"], target.uri, "--migrateuri", f"tcp://{target.address}"])
        wait_until(lambda: process.poll() is not None or target.state(vm) == "paused", "the migration begins")
        assert process.poll() is None, "the migration ended before it was observed"
        yield vm, process
        process.kill()
        process.wait()

    def test_meanwhile_nothing_is_changed_and_then_nothing_is_to_be_changed(
        self, hypervisors: tuple[Remote, Remote], migrating: tuple[Vm, subprocess.Popen[bytes]]
    ) -> None:
        source, target = hypervisors
        vm, process = migrating
        assert start(vm, uri=target.uri).error["code"] == "vm_busy"
        assert start(vm, uri=source.uri).actions == []
        for policy in ("next_boot", "restart"):
            changed = start({**vm, "cpu_num": 2}, uri=source.uri, on_drift=policy)
            assert changed.error["code"] == "vm_busy", changed.error
        assert process.poll() is None, "the migration was over before it was checked"

        source.virsh("migrate-setspeed", vm["uuid"], FAST)
        assert process.wait(timeout=240) == 0
        assert (source.state(vm), target.state(vm)) == ("absent", "running")
        assert target.says(vm, "I am here")
        assert start(vm, uri=target.uri).actions == []
