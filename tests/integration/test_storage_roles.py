# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles ceph_secrets and channel_dirs, as far as the molecule scenarios don't cover them."""

from __future__ import annotations

import base64
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks
from ansible_collections.zstack.kvm.tests.support.virsh import try_virsh, virsh

pytestmark = pytest.mark.timeout(600)

KEY = base64.b64encode(b"a key of no cluster").decode()
VOLATILE = Path("/run/zstack-kvm-test/channels")
AT_BOOT = Path("/etc/tmpfiles.d/zstack-kvm-channels.conf")


def run_role(name: str, *before: dict[str, Any], **variables: Any) -> list[dict[str, Any]]:
    """Return the results of the role's tasks."""
    role = {"ansible.builtin.include_role": {"name": "zstack.kvm." + name}, "vars": variables}
    return run_tasks([*before, role])[len(before) :]


def changed(results: list[dict[str, Any]]) -> bool:
    return any(result.get("changed") for result in results)


@pytest.fixture
def vaulted_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of variables that ansible-vault has encrypted."""
    password, variables = tmp_path / "password", tmp_path / "keys.yml"
    password.write_text("the password of the vault", encoding="utf-8")
    variables.write_text("vault_ceph_key: " + KEY, encoding="utf-8")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
    subprocess.run([Path(sys.executable).parent / "ansible-vault", "encrypt", variables], check=True)
    assert KEY not in variables.read_text(encoding="utf-8")
    return variables


@pytest.fixture
def identity() -> Iterator[str]:
    """Yield the UUID of a secret, which is removed after the test."""
    value = str(uuid.uuid4())
    yield value
    try_virsh("secret-undefine", value)


def test_the_key_of_a_secret_may_come_from_a_vault(vaulted_key: Path, identity: str) -> None:
    secrets = [{"uuid": identity, "key": "{{ vault_ceph_key }}"}]
    read = {"ansible.builtin.include_vars": str(vaulted_key), "no_log": True}
    first = run_role("ceph_secrets", read, ceph_secrets_list=secrets)
    assert changed(first)
    assert KEY not in str(first)
    assert virsh("secret-get-value", identity) == KEY
    assert not changed(run_role("ceph_secrets", read, ceph_secrets_list=secrets))


@pytest.fixture
def identities() -> Iterator[list[str]]:
    """Yield the UUIDs of secrets, which are removed after the test."""
    values = [str(uuid.uuid4()) for _number in range(3)]
    yield values
    for value in values:
        try_virsh("secret-undefine", value)


def test_several_secrets_one_of_which_is_to_be_gone(identities: list[str]) -> None:
    other = base64.b64encode(b"another key").decode()
    first, second, third = identities
    present = [{"uuid": first, "key": KEY}, {"uuid": second, "key": f"{other}\n", "state": "present"}]
    assert changed(run_role("ceph_secrets", ceph_secrets_list=[*present, {"uuid": third, "key": KEY}]))
    secrets = [*present, {"uuid": third, "state": "absent"}]
    assert changed(run_role("ceph_secrets", ceph_secrets_list=secrets))
    assert [virsh("secret-get-value", value) for value in (first, second)] == [KEY, other]
    assert third not in virsh("secret-list")
    assert not changed(run_role("ceph_secrets", ceph_secrets_list=secrets))


def test_keys_that_no_secret_can_have_are_reported_all_at_once_before_anything_changes(identities: list[str]) -> None:
    first, second, third = identities
    wrong = "my secret key!"
    secrets = [
        {"uuid": first, "key": KEY},
        {"uuid": second, "key": wrong},
        {"uuid": third, "state": "present"},
        {"uuid": third, "key": None},
    ]
    results = run_role("ceph_secrets", ceph_secrets_list=secrets)
    assert [item["msg"] for result in results for item in result.get("results", []) if item.get("failed")] == [
        f'ceph_secrets_list[1]: the key of secret {second} is not a cephx key: base64 as "ceph auth get-key" prints it',
        f"ceph_secrets_list[2]: the key of secret {third} is missing",
        f"ceph_secrets_list[3]: the key of secret {third} is missing",
    ]
    assert not [key for key in (KEY, wrong) if key in str(results)]
    assert not [value for value in identities if value in virsh("secret-list")]


@pytest.fixture
def volatile() -> Iterator[Path]:
    yield VOLATILE
    shutil.rmtree(VOLATILE.parent, ignore_errors=True)
    AT_BOOT.unlink(missing_ok=True)


def test_a_directory_below_run_is_there_again_after_a_boot(volatile: Path) -> None:
    assert changed(run_role("channel_dirs", channel_dirs_paths=[str(volatile)]))
    made = owner_and_mode(volatile)
    assert made[2] == 0o750
    shutil.rmtree(volatile.parent)
    # systemd runs this at every boot.
    subprocess.run(["systemd-tmpfiles", "--create", AT_BOOT], check=True)
    assert owner_and_mode(volatile) == made
    assert not changed(run_role("channel_dirs", channel_dirs_paths=[str(volatile)]))


@pytest.mark.parametrize("mode", ["0777", "0770"])
def test_nobody_else_may_write_to_a_directory(volatile: Path, mode: str) -> None:
    role = {"name": "zstack.kvm.channel_dirs"}
    variables = {"channel_dirs_paths": [str(volatile)], "channel_dirs_mode": mode}
    results = run_tasks([{"ansible.builtin.include_role": role, "vars": variables}])
    (error,) = [error for result in results for error in result.get("argument_errors", [])]
    assert error.startswith("value of channel_dirs_mode must be one of: 0700, 0710, 0750")
    assert not volatile.exists()


def test_an_existing_directory_must_belong_to_qemu(tmp_path: Path) -> None:
    qemu, nobody = pwd.getpwnam("libvirt-qemu"), pwd.getpwnam("nobody")
    directories = {
        "good": (qemu, 0o700),
        "open": (qemu, 0o755),
        "root": (pwd.getpwuid(0), 0o700),
        "other": (nobody, 0o700),
    }
    for name, (owner, mode) in directories.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
        os.chown(tmp_path / name, owner.pw_uid, owner.pw_gid)
    (tmp_path / "link").symlink_to("good")
    paths = [str(tmp_path / name) for name in (*directories, "link", "new")]
    results = run_role("channel_dirs", channel_dirs_paths=paths)
    refused = [item["msg"] for result in results for item in result.get("results", []) if item.get("failed")]
    assert [re.findall(r"/(\w+) already exists", text)[0] for text in refused] == ["open", "root", "other", "link"]
    assert {name: owner_and_mode(tmp_path / name) for name in directories} == {
        name: (owner.pw_uid, owner.pw_gid, mode) for name, (owner, mode) in directories.items()
    }
    assert not (tmp_path / "new").exists()


SEMANAGE = """#!/bin/sh
case $* in
*--list*) cat {directory}/rules ;;
*)
    echo "$2 $5" >> {directory}/done
    printf '\n%s   all files   system_u:object_r:%s:s0 \n' "$5" "$4" >> {directory}/rules ;;
esac
"""
RESTORECON = """#!/bin/sh
echo $3 >> {directory}/restored
"""


class TestLabels:
    """The role's tasks for SELinux, with stand-ins for its programs."""

    POLICY = Path("/etc/selinux/zstack-kvm-test")

    @pytest.fixture(autouse=True)
    def selinux(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name, text in {"semanage": SEMANAGE, "restorecon": RESTORECON}.items():
            (tmp_path / name).write_text(text.format(directory=tmp_path))
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        (self.POLICY / "contexts/files").mkdir(parents=True)
        yield
        shutil.rmtree(self.POLICY)

    def label(self, directory: Path, *paths: str, like: str = "", rules: str = "") -> list[str]:
        """Return the changes to the rules for labels, given the site's rules and equivalent directories."""
        (self.POLICY / "contexts/files/file_contexts.subs_dist").write_text(f"# comment\n\n{like}\n")
        (directory / "rules").write_text(rules)
        facts = {"selinux": {"type": self.POLICY.name}, "python": {"executable": sys.executable}}
        fact = {"ansible.builtin.set_fact": {**facts, "cacheable": True}}
        role = {"name": "zstack.kvm.channel_dirs", "tasks_from": "selinux.yml"}
        tasks = [fact, *[{"ansible.builtin.include_role": role, "vars": {"channel_dirs_paths": list(paths)}}] * 2]
        assert not any(result.get("failed") for result in run_tasks(tasks))
        assert (directory / "restored").read_text().split() == [*paths] * 2
        # The first run does this; the second one has nothing to do
        return (directory / "done").read_text().splitlines() if (directory / "done").exists() else []

    def test_a_directory_is_named_as_the_policy_of_el_9_knows_it(self, tmp_path: Path) -> None:
        paths = ["/run/zstack", "/runs/zstack", "/srv/a.b+c", "/srv/right", "/srv/wrong", "/srv/part"]
        rules = (
            "/srv/right(/.*)?   all files   system_u:object_r:qemu_var_run_t:s0\n"
            "/srv/wrong(/.*)?   all files   system_u:object_r:var_t:s0\n"
            "/more/srv/part(/.*)?   all files   system_u:object_r:qemu_var_run_t:s0\n"
        )
        assert self.label(tmp_path, *paths, like="/run /var/run", rules=rules) == [
            "--add /var/run/zstack(/.*)?",
            "--add /runs/zstack(/.*)?",
            r"--add /srv/a\.b\+c(/.*)?",
            "--modify /srv/wrong(/.*)?",
            "--add /srv/part(/.*)?",
        ]

    def test_a_directory_is_named_as_the_policy_of_el_10_knows_it(self, tmp_path: Path) -> None:
        done = self.label(tmp_path, "/run/zstack", "/var/run/other", like="/var/run /run")
        assert done == ["--add /run/zstack(/.*)?", "--add /run/other(/.*)?"]


def owner_and_mode(path: Path) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_uid, status.st_gid, status.st_mode & 0o7777


class TestParentsOfQemusUser:
    """Processes of QEMU's user can do as they like in the directory in which the role creates another."""

    @pytest.fixture
    def theirs(self) -> Iterator[Path]:
        directory = Path(tempfile.mkdtemp(prefix="zstack-kvm-channels-"))
        qemu = pwd.getpwnam("libvirt-qemu")
        os.chown(directory, qemu.pw_uid, qemu.pw_gid)
        yield directory
        shutil.rmtree(directory)

    def test_a_directory_is_created_there_with_its_parents(self, theirs: Path) -> None:
        qemu = pwd.getpwnam("libvirt-qemu")
        path = theirs / "a/b"
        assert changed(run_role("channel_dirs", channel_dirs_paths=[str(path)]))
        assert owner_and_mode(path) == (qemu.pw_uid, qemu.pw_gid, 0o750)
        assert owner_and_mode(path.parent) == (qemu.pw_uid, qemu.pw_gid, 0o755)
        assert not changed(run_role("channel_dirs", channel_dirs_paths=[str(path)]))

    def test_a_link_there_is_not_followed(self, theirs: Path, tmp_path: Path) -> None:
        (theirs / "link").symlink_to(tmp_path)
        results = run_role("channel_dirs", channel_dirs_paths=[str(theirs / "link/new")])
        (message,) = [result["stderr"] for result in results if result.get("rc")]
        assert message == "link is a symbolic link in a directory that is not root's alone"
        assert list(tmp_path.iterdir()) == []

    def test_mode_and_group_of_an_existing_one_are_corrected(self, theirs: Path) -> None:
        qemu = pwd.getpwnam("libvirt-qemu")
        path = theirs / "there"
        path.mkdir(mode=0o700)
        os.chown(path, qemu.pw_uid, 0)
        path.chmod(0o700)
        assert changed(run_role("channel_dirs", channel_dirs_paths=[str(path)]))
        assert owner_and_mode(path) == (qemu.pw_uid, qemu.pw_gid, 0o750)
