# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud-init seed of a VM on the hypervisor: who can read it, when it is written, when it is removed."""

from __future__ import annotations

import json
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.forked_task import run_module
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed, start
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state, virsh

SEEDS = Path("/var/lib/zstack-kvm/seeds")
PASSWORD = "a-secret-of-the-guest"
CONTENT = {"user_data": {"password": PASSWORD}, "meta_data": {"local-hostname": "guest-1"}}
OTHER = {"user_data": {"password": "another-secret"}}


@pytest.fixture
def vm(new_vm: NewVm) -> Iterator[dict[str, Any]]:
    """Describe a VM with a seed, and remove its seeds afterwards."""
    vm = new_vm(cloud_init=CONTENT)
    yield vm
    for path in seeds(vm):
        path.unlink()


def seeds(vm: dict[str, Any]) -> list[Path]:
    return sorted(SEEDS.glob(vm["uuid"].replace("-", "") + ".*"))


def source(vm: dict[str, Any], inactive: bool = True) -> str:
    (disk,) = definition(vm["uuid"], inactive).xpath("devices/disk[target/@dev='vdaa']")
    assert disk.find("readonly") is not None
    return str(disk.find("source").get("file"))


def extracted(image: Path, name: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "copy")
        command = ["xorriso", "-osirrox", "on", "-indev", str(image), "-extract", f"/{name}", str(copy)]
        subprocess.run(command, check=True, capture_output=True)
        return copy.read_text(encoding="utf-8")


class TestStart:
    def test_writes_a_seed_that_only_qemu_can_read(self, vm: dict[str, Any]) -> None:
        run = agreed(vm)
        assert run.actions == ["write_cloud_init_seed", "define", "start"]
        (seed,) = seeds(vm)
        assert source(vm) == str(seed)
        status = seed.stat()
        assert stat.S_IMODE(status.st_mode) == 0o400
        assert pwd.getpwuid(status.st_uid).pw_name == "libvirt-qemu"
        assert stat.S_IMODE(SEEDS.stat().st_mode) == 0o711
        label = subprocess.check_output(["blkid", "-p", "-s", "LABEL", "-o", "value", seed], text=True)
        assert label.strip() == "CIDATA"
        assert json.loads(extracted(seed, "meta-data")) == {"instance-id": vm["uuid"], "local-hostname": "guest-1"}
        assert extracted(seed, "user-data").startswith("#cloud-config\n")

        again = start(vm)
        assert (again.vm["changed"], again.vm["differences"]) == (False, [])

    def test_that_fails_leaves_none(self, vm: dict[str, Any]) -> None:
        with mock.patch.object(Hypervisor, "create", side_effect=VmError("invalid_domain", "refused")):
            run = start(vm)
        assert (run.error["rollback"], seeds(vm), state(vm["uuid"])) == ("done", [], "absent")

    def test_heals_a_seed_that_is_gone_or_was_left_half_written(self, vm: dict[str, Any]) -> None:
        start(vm)
        (seed,) = seeds(vm)
        virsh("destroy", vm["uuid"])
        for damage in (seed.unlink, lambda: seed.write_bytes(b"half")):
            damage()
            assert "write_cloud_init_seed" in agreed(vm).actions
            assert extracted(Path(source(vm)), "user-data").startswith("#cloud-config\n")
            virsh("destroy", vm["uuid"])

    def test_without_a_program_for_images_is_refused_first(self, vm: dict[str, Any]) -> None:
        module = "ansible_collections.zstack.kvm.plugins.module_utils._host_storage.seeds.program_for_images"
        with mock.patch(module, return_value=None):
            run = failed(vm)
        assert (run.error["code"], run.error["phase"], run.actions) == ("command_missing", "preflight", [])
        assert "vms[0].cloud_init: " in run.error["message"]
        assert (seeds(vm), state(vm["uuid"])) == ([], "absent")


class TestAnotherContent:
    def test_is_a_difference_until_the_guest_boots(self, vm: dict[str, Any]) -> None:
        start(vm)
        old = source(vm)
        changed = {**vm, "cloud_init": OTHER}
        run = agreed(changed)
        assert [each["path"] for each in run.vm["differences"]] == ["devices/disk[target=vdaa]/source/@file"]
        assert (run.actions, run.vm["restart_required"]) == (["write_cloud_init_seed", "define"], True)
        assert (source(vm, inactive=False), source(vm) != old) == (old, True)
        assert "another-secret" in extracted(Path(source(vm)), "user-data")
        assert not start(changed).vm["changed"]

        assert agreed({**changed, "timeout": 10}, on_drift="restart").actions == ["stop", "start"]
        assert not start(changed).vm["restart_required"]

    def test_comes_to_a_running_guest_with_on_drift_live(self, vm: dict[str, Any]) -> None:
        start(vm)
        run = start({**vm, "cloud_init": OTHER}, on_drift="live")
        assert run.actions[:2] == ["write_cloud_init_seed", "define"]


class TestSecrets:
    def test_are_in_no_result_of_the_module(self, vm: dict[str, Any]) -> None:
        for check in (True, False):
            run = run_module("zstack_vm_start", {"vms": [vm]}, check)
            assert not run.failed
            assert PASSWORD not in json.dumps(run.result) + run.output


def test_the_seed_goes_with_the_definition(vm: dict[str, Any]) -> None:
    start(vm)
    start({**vm, "cloud_init": OTHER})
    assert len(seeds(vm)) == 2
    virsh("destroy", vm["uuid"])
    run = run_module("zstack_vm_stop", {"vms": [vm["uuid"]], "undefine": True}, False)
    assert run.actions.count("remove_cloud_init_seed") == 2
    assert seeds(vm) == []
