# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and keys: passed to libvirt, and found nowhere else."""

from __future__ import annotations

import base64
import secrets
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.leaks import LIBVIRTS_OWN, Watch, files_with, leaks_of
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun, agreed, run_task, start
from ansible_collections.zstack.kvm.tests.support.servers import CephCluster, IscsiServer
from ansible_collections.zstack.kvm.tests.support.virsh import definition, virsh

# New ones each time: if one is found anywhere, it comes from this run.
CONSOLE, CHAP, KEY = secrets.token_hex(4), secrets.token_hex(8), secrets.token_hex(8)
CEPHX = base64.b64encode(KEY.encode()).decode()
SECRETS = (CONSOLE, CHAP, CEPHX, KEY)
SEEDS = Path("/var/lib/zstack-kvm/seeds")
IQN = "iqn.2026-01.org.example:secrets"


def assert_in_none_of(texts: dict[str, str], searched: tuple[str, ...] = SECRETS) -> None:
    """Assert that no secret is in any of the texts, which must not be empty."""
    for path, text in texts.items():
        assert text, path
        assert [secret for secret in searched if secret in text] == [], path


def run_watched(
    tmp_path: Path, vm: dict[str, Any], searched: tuple[str, ...] = SECRETS, owners: tuple[str, ...] = LIBVIRTS_OWN
) -> TaskRun:
    """Run the module at the highest verbosity, and assert that nothing that can be seen of it contains a secret."""
    watch = Watch()
    log = tmp_path / "ansible.log"
    # Not ANSIBLE_DEBUG, with which Ansible prints the arguments of every module in a task without no_log.
    settings = {"ANSIBLE_LOG_PATH": str(log)}
    with watch.watching():
        run = run_task("zstack.kvm.zstack_vm_start", {"vms": [vm]}, verbosity=6, environment=settings)
    assert "zstack_vm_start" in watch.seen, "the watch saw nothing of the task"
    assert_in_none_of(
        {
            "result": str(run.result),
            "output": run.output,
            "ansible's log": log.read_text(encoding="utf-8"),
            "system log and processes": watch.seen,
        },
        searched,
    )
    log.unlink()
    assert {secret: leaks_of(secret, owners) for secret in searched} == {secret: [] for secret in searched}
    return run


def test_when_a_vm_starts(new_vm: NewVm, tmp_path: Path) -> None:
    vm = new_vm(console_password=CONSOLE)
    assert run_watched(tmp_path, vm).actions == ["define", "start"]
    assert definition(vm["uuid"]).find("devices/graphics").get("passwd") == CONSOLE
    # The search finds a secret that exists.
    assert any(file.startswith(LIBVIRTS_OWN) for file in files_with(CONSOLE))


def test_when_a_seed_has_a_password(new_vm: NewVm, tmp_path: Path) -> None:
    vm = new_vm(cloud_init={"user_data": {"users": [{"name": "ops", "plain_text_passwd": CONSOLE}]}})
    run = run_watched(tmp_path, vm, owners=(*LIBVIRTS_OWN, str(SEEDS)))
    assert run.actions == ["write_cloud_init_seed", "define", "start"]
    (seed,) = SEEDS.glob(vm["uuid"].replace("-", "") + ".*")
    assert CONSOLE in seed.read_text(encoding="latin-1")
    assert stat.S_IMODE(seed.stat().st_mode) == 0o400
    seed.unlink()


def test_when_a_password_changes(new_vm: NewVm, tmp_path: Path) -> None:
    vm = new_vm(console_password="before")
    start(vm)
    run = run_watched(tmp_path, {**vm, "console_password": CONSOLE})
    assert [each["path"] for each in run.vm["differences"]] == ["devices/graphics[type=vnc]/@passwd"]


def test_when_storage_fails(new_vm: NewVm, tmp_path: Path) -> None:
    key = {"uuid": "5f1c0e52-8a0b-4d0a-9d36-8d3a7f0c1b2a", "key": CEPHX}
    volumes = [
        {
            "device_type": "iscsi",
            "install_path": "iscsi://127.0.0.1:9/iqn.2026-01.org.example:x/1",
            "chap_username": "operator",
            "chap_password": CHAP,
        },
        {
            "device_type": "ceph",
            "install_path": "ceph://pool/image",
            "secret_uuid": key["uuid"],
            "mon_info": [{"hostname": "127.0.0.1", "port": 9}],
        },
    ]
    run = run_watched(tmp_path, new_vm(console_password=CONSOLE, data_volumes=volumes, ceph_secret=key))
    assert run.error["code"] == "storage_unreachable"


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Yield a LUN behind a password, on a running server."""
    lun = tmp_path / "lun.raw"
    lun.write_bytes(bytes(1 << 20))
    with IscsiServer() as server:
        server.add_target(IQN, lun, chap=("operator", CHAP))
        path = server.install_path(IQN)
        yield {"device_type": "iscsi", "install_path": path, "chap_username": "operator", "chap_password": CHAP}
    for line in virsh("secret-list").splitlines():
        if IQN in line:
            virsh("secret-undefine", line.split()[0])


def test_when_a_volume_has_a_password(new_vm: NewVm, volume: dict[str, Any], tmp_path: Path) -> None:
    run = run_watched(tmp_path, new_vm(data_volumes=[volume]))
    assert run.actions == ["define", "define_secret", "start"]


def test_when_a_volume_is_given_a_wrong_password(new_vm: NewVm, volume: dict[str, Any], tmp_path: Path) -> None:
    # A wrong password is as secret as the right one.
    run = run_watched(tmp_path, new_vm(data_volumes=[{**volume, "chap_password": KEY}]))
    assert run.error["code"] == "storage_denied"


def test_when_a_volume_is_in_ceph(new_vm: NewVm, tmp_path: Path) -> None:
    secret = str(uuid.uuid4())
    with CephCluster() as ceph:
        ceph.write_image("pool", "vol", bytes(1 << 20))
        volume = {"install_path": "ceph://pool/vol", "mon_info": ceph.monitors, "secret_uuid": secret}
        vm = new_vm(data_volumes=[{"device_type": "ceph", **volume}], ceph_secret={"uuid": secret, "key": ceph.key})
        searched = (ceph.key, base64.b64decode(ceph.key).hex())
        run = run_watched(tmp_path, vm, searched, (*LIBVIRTS_OWN, str(ceph.configuration.parent)))
        assert run.actions == ["define", "define_secret", "start"]
        assert virsh("secret-get-value", secret) == ceph.key
        virsh("destroy", vm["uuid"])
    virsh("secret-undefine", secret)


@pytest.mark.parametrize(
    "options",
    [
        {"console_password": CONSOLE * 10},
        {"ceph_secret": {"uuid": "no-uuid", "key": CEPHX}},
        {"ceph_secret": CEPHX},
        {"consolePassword": CONSOLE},
        {"root_volume": {"install_path": "/a", "chap_password": [CHAP]}},
        {"console_password": {"is": CONSOLE}},
    ],
)
def test_when_the_input_is_wrong(new_vm: NewVm, options: dict[str, Any]) -> None:
    run = start(new_vm(**options), verbosity=6)
    assert "in the input" in run.result["msg"]
    assert_in_none_of({"result": str(run.result), "output": run.output})


def test_a_password_that_is_a_common_word_spoils_nothing(new_vm: NewVm) -> None:
    run = agreed(new_vm(console_password="vnc"))
    assert run.vm["console"]["type"] == "vnc"
    assert run.actions == ["define", "start"]
    assert 'type="vnc"' in run.result["diff"][0]["after"]
