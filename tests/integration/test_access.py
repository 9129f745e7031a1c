# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users other than root: refused by libvirt, in its group, with their own libvirt, with a password."""

from __future__ import annotations

import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import daemon, media
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.unprivileged import User, new_user
from ansible_collections.zstack.kvm.tests.support.virsh import state, try_virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

SYSTEM = {"uri": "qemu:///system"}
SESSION = {"uri": "qemu:///session"}
PASSWORD = "correct horse battery"


@pytest.fixture
def user() -> Iterator[User]:
    """Yield a user in no group."""
    with new_user() as created:
        yield created


def start(user: User, vm: dict[str, Any], check: bool = False, **options: Any) -> TaskRun:
    """Start a VM as the user."""
    return user.run_module("zstack_vm_start", {"vms": [vm], **options}, check)


def agreed(user: User, vm: dict[str, Any], **options: Any) -> TaskRun:
    """Start a VM as the user; check mode has predicted the actions, or the error."""
    predicted, run = start(user, vm, check=True, **options), start(user, vm, **options)
    assert predicted.failed == run.failed, (predicted.result, run.result)
    if run.failed:
        assert predicted.error["code"] == run.error["code"]
    else:
        assert predicted.actions == run.actions
    return run


class TestTheSystemsLibvirt:
    @pytest.fixture
    def members_only(self, tmp_path: Path) -> Iterator[None]:
        """Open libvirt's socket to the group libvirt, as on hosts without polkit."""
        daemon.assert_own()
        settings = tmp_path / "daemon.conf"
        added = 'unix_sock_group = "libvirt"\nunix_sock_rw_perms = "0770"\nauth_unix_rw = "none"\n'
        settings.write_text(daemon.SETTINGS.read_text(encoding="utf-8") + added, encoding="utf-8")
        daemon.kill()
        daemon.start("-f", str(settings))
        wait_until(lambda: try_virsh("uri").returncode == 0)
        yield
        daemon.kill()
        daemon.start()
        wait_until(lambda: try_virsh("uri").returncode == 0)

    @pytest.mark.parametrize("module", ["zstack_vm_info", "zstack_host_info"])
    def test_is_denied_where_polkit_cannot_be_asked(self, user: User, module: str) -> None:
        run = user.run_module(module, SYSTEM)
        assert run.result["error"]["code"] == "libvirt_denied", run.result
        assert "become" in run.result["msg"] and "Traceback" not in run.output

    @pytest.mark.usefixtures("members_only")
    def test_is_denied_to_users_outside_its_group(self, user: User, new_vm: NewVm) -> None:
        run = agreed(user, new_vm(), **SYSTEM)
        assert run.error["code"] == "libvirt_denied"
        assert "become: true" in run.error["hint"]

    @pytest.mark.usefixtures("members_only")
    def test_serves_its_group_with_the_users_rights(self, user: User, new_vm: NewVm, images: Path) -> None:
        member = replace(user, groups=("libvirt",))
        hidden = images / "hidden"
        hidden.mkdir()
        disk = media.write_raw(hidden / "disk", "I am hidden")
        vm = new_vm(root_volume={"install_path": str(disk)})
        # QEMU's user may read it; the user who runs the task may not even see it.
        shutil.chown(hidden, "libvirt-qemu")
        hidden.chmod(0o700)
        assert agreed(member, vm, **SYSTEM).error["code"] == "needs_root"
        vm["root_volume"]["format"] = "raw"
        channel = {"socket_path": f"/var/lib/{vm['uuid']}/agent.sock", "target_name": "org.qemu.guest_agent.0"}
        run = agreed(member, {**vm, "channels": [channel]}, **SYSTEM)
        assert (run.error["code"], run.actions, state(vm["uuid"])) == ("needs_root", [], "absent")
        assert agreed(member, vm, **SYSTEM).actions == ["define", "start"]
        assert agreed(member, {**vm, "cpu_num": 2}, backup=True, **SYSTEM).error["code"] == "needs_root"
        assert agreed(member, {**vm, "cpu_num": 2}, **SYSTEM).actions == ["define"]
        stop = {"vms": [vm["uuid"]], "timeout": 0, "force": True, "undefine": True, **SYSTEM}
        assert member.run_module("zstack_vm_stop", stop).actions == ["destroy", "undefine"]


class TestALibvirtOfTheUsersOwn:
    def test_starts_and_stops_vms(self, user: User) -> None:
        disk = media.write_raw(user.home / "disk", "I am a user's")
        shutil.chown(disk, user.name)
        identity = str(uuid.uuid4())
        vm = {
            "uuid": identity, "name": "a user's", "memory": "32MiB", "cpu_num": 1, "domain_type": "qemu",
            "root_volume": {"install_path": str(disk)},
        }  # fmt: skip
        run = agreed(user, vm, **SESSION)
        assert not run.failed, run.error
        assert run.actions == ["define", "start"]
        assert state(identity) == "absent"
        assert not agreed(user, vm, **SESSION).result["changed"]
        stop = {"vms": [identity], "timeout": 0, "force": True, "undefine": True, **SESSION}
        assert user.run_module("zstack_vm_stop", stop).actions == ["destroy", "undefine"]

    def test_is_denied_where_it_may_have_no_socket(self, user: User) -> None:
        user.runtime.chmod(0o700)
        shutil.chown(user.runtime, "root")
        run = user.run_module("zstack_vm_info", SESSION)
        assert run.result["error"]["code"] == "libvirt_denied", run.result


class TestALibvirtThatAsksForAPassword:
    @pytest.fixture
    def uri(self, user: User) -> Iterator[str]:
        """Yield the URI of the user's own libvirt, which accepts "operator" by SASL over TCP."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        database = user.home / "passwords.db"
        subprocess.run(
            ["saslpasswd2", "-c", "-p", "-a", "libvirt", "-f", database, "operator"],
            input=PASSWORD, text=True, check=True,
        )  # fmt: skip
        (user.home / "sasl").mkdir()
        settings = user.home / "libvirtd.conf"
        sasl = f"mech_list: digest-md5\nsasldb_path: {database}\n"
        (user.home / "sasl" / "libvirt.conf").write_text(sasl, encoding="utf-8")
        settings.write_text(
            f'listen_tls = 0\nlisten_tcp = 1\ntcp_port = "{port}"\nlisten_addr = "127.0.0.1"\nauth_tcp = "sasl"\n',
            encoding="utf-8",
        )
        shutil.chown(database, user.name)
        listen = user.command(*daemon.LISTEN, "-f", str(settings), SASL_CONF_PATH=str(user.home / "sasl"))
        process = subprocess.Popen(listen[0], env=listen[1], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: is_open(port))
            yield f"qemu+tcp://127.0.0.1:{port}/session"
        finally:
            process.kill()
            process.wait()

    def credentials(self, user: User, password: str, host: str = "127.0.0.1") -> str:
        """Return a file with credentials for a host."""
        file = user.home / "auth.conf"
        section = f"[credentials-lab]\nauthname=operator\npassword={password}\n"
        file.write_text(f"{section}[auth-libvirt-{host}]\ncredentials=lab\n", encoding="utf-8")
        file.chmod(0o600)
        shutil.chown(file, user.name)
        return str(file)

    @pytest.mark.parametrize(
        ("module", "options"),
        [
            ("zstack_host_info", {}),
            ("zstack_vm_info", {}),
            ("zstack_vm_stop", {"vms": ["6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11"]}),
            ("zstack_libvirt_secret", {"uuid": "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab", "state": "absent"}),
        ],
    )
    def test_is_accepted(self, user: User, uri: str, module: str, options: dict[str, Any]) -> None:
        run = user.run_module(module, {"uri": uri, "authfile": self.credentials(user, PASSWORD), **options})
        assert not run.failed, run.result
        assert PASSWORD not in run.output

    def test_starts_vms(self, user: User, uri: str) -> None:
        disk = media.write_raw(user.home / "disk", "I am remote")
        shutil.chown(disk, user.name)
        vm = {
            "uuid": str(uuid.uuid4()), "name": "remote", "memory": "32MiB", "cpu_num": 1, "domain_type": "qemu",
            "root_volume": {"install_path": str(disk), "format": "raw"},
        }  # fmt: skip
        run = agreed(user, vm, uri=uri, authfile=self.credentials(user, PASSWORD))
        assert not run.failed, run.error
        assert run.actions == ["define", "start"] and PASSWORD not in run.output

    def test_finds_the_file_where_libvirt_looks_for_it(self, user: User, uri: str) -> None:
        directory = user.home / ".config" / "libvirt"
        argv, env = user.command("mkdir", "-p", str(directory))
        subprocess.run(argv, env=env, check=True)
        shutil.copy(self.credentials(user, PASSWORD), directory / "auth.conf")
        shutil.chown(directory / "auth.conf", user.name)
        assert not user.run_module("zstack_vm_info", {"uri": uri}).failed

    @pytest.mark.parametrize(("password", "host"), [("wrong", "127.0.0.1"), (PASSWORD, "another.host")])
    def test_denies_wrong_or_missing_credentials(self, user: User, uri: str, password: str, host: str) -> None:
        options = {"uri": uri, "authfile": self.credentials(user, password, host)}
        run = user.run_module("zstack_vm_info", options)
        assert run.result["error"]["code"] == "libvirt_denied", run.result
        assert password not in run.output and "authfile" in run.result["msg"]

    def test_says_that_the_file_is_missing(self, user: User, uri: str) -> None:
        run = user.run_module("zstack_vm_info", {"uri": uri, "authfile": str(user.home / "none")})
        assert run.result["error"]["code"] == "path_unreadable"
        assert "authfile" in run.result["msg"]


def is_open(port: int) -> bool:
    """Return whether something listens on the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
