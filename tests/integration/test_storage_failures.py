# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage that can't be reached: each failure has its code, is reported soon, and leaves nothing half started."""

from __future__ import annotations

import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.plugins.module_utils._storage.fusionstor import NBD_SOCKET
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import in_process, media, module_run, playbook, predicted
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.processes import qemus_of
from ansible_collections.zstack.kvm.tests.support.servers import CephCluster, IscsiServer, NbdServer
from ansible_collections.zstack.kvm.tests.support.virsh import state, try_virsh, virsh

# On their own, libvirt and QEMU would wait for minutes.
SECONDS = 90
SECRET = "4c1b3f1e-6a57-4a4c-9a3e-5d1d5f0f7b10"
IQN, LOCKED = "iqn.2024-01.io.zstack:open", "iqn.2024-01.io.zstack:locked"


@dataclass(frozen=True)
class Servers:
    """One server of each kind."""

    ceph: CephCluster
    iscsi: IscsiServer
    nbd: NbdServer


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    disk = media.write_raw(tmp_path_factory.mktemp("disks") / "disk", "I boot")
    with ExitStack() as stack:
        ceph = stack.enter_context(CephCluster())
        ceph.write_image("pool", "vol", disk.read_bytes())
        iscsi = stack.enter_context(IscsiServer())
        iscsi.add_target(IQN, disk)
        iscsi.add_target(LOCKED, disk, chap=("zs", "password-1234"))
        nbd = stack.enter_context(NbdServer({"pool/vol": disk}, socket=Path(NBD_SOCKET)))
        yield Servers(ceph, iscsi, nbd)


@pytest.fixture(autouse=True)
def no_secret() -> Iterator[None]:
    """Remove secrets that a test defined, and assert that a failed start left none."""
    before = virsh("secret-list")
    yield
    try_virsh("secret-undefine", SECRET)
    assert virsh("secret-list") == before


def ceph_volume(servers: Servers, path: str = "ceph://pool/vol", **options: Any) -> dict[str, Any]:
    defaults = {"mon_info": servers.ceph.monitors, "secret_uuid": SECRET}
    return {"device_type": "ceph", "install_path": path, **defaults, **options}


def key(value: str) -> dict[str, Any]:
    return {"ceph_secret": {"uuid": SECRET, "key": value}}


def lun(servers: Servers, iqn: str = IQN, number: int = 1, **options: Any) -> dict[str, Any]:
    return {"device_type": "iscsi", "install_path": servers.iscsi.install_path(iqn, number), **options}


def start_in_time(*vms: dict[str, Any], **options: Any) -> TaskRun:
    begin = time.monotonic()
    run = module_run.start(*vms, **options)
    assert time.monotonic() - begin < SECONDS
    return run


def fails(vm: dict[str, Any], code: str, *texts: str) -> TaskRun:
    """Start the VM, assert that it fails soon with this code and these texts and leaves nothing, and return the run."""
    run = predicted.failed(start_in_time, vm)
    assert run.error["code"] == code, run.error
    assert all(text in run.error["message"] for text in texts), run.error["message"]
    assert (run.actions, run.error["rollback"]) == ([], "not_needed")
    assert state(vm["uuid"]) == "absent"
    return run


@contextmanager
def silent_server() -> Iterator[int]:
    """Yield a port that accepts connections and then stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestCeph:
    def test_no_monitor_answers(self, new_vm: NewVm, servers: Servers) -> None:
        monitors = [{"hostname": "127.0.0.1", "port": 1}, {"hostname": "::1", "port": 2}]
        vm = new_vm(root_volume=ceph_volume(servers, mon_info=monitors), **key(servers.ceph.key))
        fails(vm, "storage_unreachable", "127.0.0.1:1 (Connection refused)", "[::1]:2")

    def test_the_monitor_has_no_address(self, new_vm: NewVm, servers: Servers) -> None:
        monitors = [{"hostname": "no-such-host.invalid", "port": 6789}]
        vm = new_vm(root_volume=ceph_volume(servers, mon_info=monitors), **key(servers.ceph.key))
        fails(vm, "storage_unreachable", "no-such-host.invalid:6789")

    def test_the_monitor_is_silent(self, new_vm: NewVm, servers: Servers) -> None:
        with silent_server() as port:
            monitors = [{"hostname": "127.0.0.1", "port": port}]
            vm = new_vm(root_volume=ceph_volume(servers, mon_info=monitors), **key(servers.ceph.key))
            fails(vm, "storage_unreachable", "127.0.0.1:%d" % port)

    def test_the_monitor_is_something_else(self, new_vm: NewVm, servers: Servers) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            child = os.fork()
            if child == 0:
                # Check mode connects too.
                for _run in range(2):
                    server.accept()[0].send(b"SSH-2.0-other\r\n")
                os._exit(0)
            monitors = [{"hostname": "127.0.0.1", "port": port}]
            vm = new_vm(root_volume=ceph_volume(servers, mon_info=monitors), **key(servers.ceph.key))
            fails(vm, "storage_unreachable", "none of the monitors")
            os.waitpid(child, 0)

    def test_the_cluster_hangs(self, new_vm: NewVm, servers: Servers) -> None:
        vm = new_vm(root_volume=ceph_volume(servers), **key(servers.ceph.key))
        assert servers.ceph.monitor is not None
        pid = servers.ceph.monitor.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            fails(vm, "storage_unreachable")
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_the_key_is_wrong(self, new_vm: NewVm, servers: Servers) -> None:
        vm = new_vm(root_volume=ceph_volume(servers), **key(servers.ceph.wrong_key))
        run = fails(vm, "storage_denied", SECRET)
        assert servers.ceph.wrong_key not in run.output

    def test_the_key_is_unknown_to_ceph(self, new_vm: NewVm, servers: Servers) -> None:
        fails(new_vm(root_volume=ceph_volume(servers), **key("YWJj")), "storage_denied", SECRET)

    def test_a_key_is_needed(self, new_vm: NewVm, servers: Servers) -> None:
        vm = new_vm(root_volume=ceph_volume(servers, secret_uuid=None))
        fails(vm, "storage_denied", "secret_uuid")

    def test_the_secret_is_missing(self, new_vm: NewVm, servers: Servers) -> None:
        fails(new_vm(root_volume=ceph_volume(servers)), "secret_missing", SECRET)

    def test_the_secret_has_no_value(self, new_vm: NewVm, servers: Servers) -> None:
        xml = "<secret><uuid>%s</uuid><usage type='ceph'><name>x</name></usage></secret>" % SECRET
        virsh("secret-define", "/dev/stdin", stdin=xml)
        fails(new_vm(root_volume=ceph_volume(servers)), "secret_missing", SECRET, "no value")

    @pytest.mark.parametrize(
        ("path", "message"), [("ceph://nope/vol", "no pool nope"), ("ceph://pool/nope", "no image nope")]
    )
    def test_the_image_is_missing(self, new_vm: NewVm, servers: Servers, path: str, message: str) -> None:
        fails(new_vm(root_volume=ceph_volume(servers, path), **key(servers.ceph.key)), "storage_missing", message)

    def test_the_snapshot_is_missing(self, new_vm: NewVm, servers: Servers) -> None:
        cd = {"path": "ceph://pool/vol@nope", "mon_info": servers.ceph.monitors, "secret_uuid": SECRET}
        vm = new_vm(boot_iso=[cd], **key(servers.ceph.key))
        fails(vm, "storage_missing", "vms[0].boot_iso[0].path", "snapshot nope")


class TestIscsi:
    def test_the_portal_does_not_answer(self, new_vm: NewVm) -> None:
        vm = new_vm(root_volume={"device_type": "iscsi", "install_path": "iscsi://127.0.0.1:1/%s/1" % IQN})
        fails(vm, "storage_unreachable", "127.0.0.1:1 (Connection refused)")

    def test_the_portal_is_silent(self, new_vm: NewVm) -> None:
        with silent_server() as port:
            path = "iscsi://127.0.0.1:%d/%s/1" % (port, IQN)
            fails(new_vm(root_volume={"device_type": "iscsi", "install_path": path}), "storage_unreachable")

    def test_the_target_is_missing(self, new_vm: NewVm, servers: Servers) -> None:
        fails(new_vm(root_volume=lun(servers, "iqn.2024-01.io.zstack:nope")), "storage_missing", "no target")

    def test_the_lun_is_missing(self, new_vm: NewVm, servers: Servers) -> None:
        fails(new_vm(root_volume=lun(servers, IQN, 7)), "storage_missing", "no LUN 7")

    @pytest.mark.parametrize("chap", [{"chap_username": "zs", "chap_password": "wrong-password"}, {}])
    def test_the_login_is_refused(self, new_vm: NewVm, servers: Servers, chap: dict[str, str]) -> None:
        run = fails(new_vm(root_volume=lun(servers, LOCKED, **chap)), "storage_denied", LOCKED)
        assert "wrong-password" not in run.output

    def test_the_hypervisors_own_initiator_meets_the_same(self, new_vm: NewVm, servers: Servers) -> None:
        options = {"use_virtio": False, "chap_username": "zs", "chap_password": "wrong-password"}
        fails(new_vm(root_volume=lun(servers, LOCKED, **options)), "storage_denied", LOCKED)


class TestFusionstor:
    def test_the_export_is_missing(self, new_vm: NewVm, servers: Servers) -> None:
        vm = new_vm(root_volume={"device_type": "fusionstor", "install_path": "fusionstor://pool/nope"})
        fails(vm, "storage_missing", "pool/nope")

    def test_the_socket_is_missing(self, new_vm: NewVm, servers: Servers) -> None:
        hidden = Path(NBD_SOCKET + ".hidden")
        Path(NBD_SOCKET).rename(hidden)
        try:
            vm = new_vm(root_volume={"device_type": "fusionstor", "install_path": "fusionstor://pool/vol"})
            fails(vm, "storage_unreachable", NBD_SOCKET)
        finally:
            hidden.rename(NBD_SOCKET)

    def test_nobody_serves_the_socket(self, new_vm: NewVm, servers: Servers) -> None:
        hidden = Path(NBD_SOCKET + ".hidden")
        Path(NBD_SOCKET).rename(hidden)
        try:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(NBD_SOCKET)
            vm = new_vm(root_volume={"device_type": "fusionstor", "install_path": "fusionstor://pool/vol"})
            fails(vm, "storage_unreachable", "Connection refused")
        finally:
            hidden.replace(NBD_SOCKET)


class TestLostAfterItWasReached:
    """The moment is simulated: storage is lost as soon as the VM is defined. Everything that then happens is real."""

    @pytest.fixture
    def when_defined(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
        define = Hypervisor.define

        def arrange(lose: Callable[[], object]) -> None:
            def define_and_lose(hypervisor: Hypervisor, xml: str, validate: bool = True) -> None:
                define(hypervisor, xml, validate)
                lose()

            monkeypatch.setattr(Hypervisor, "define", define_and_lose)

        return arrange

    def assert_undone(self, vm: dict[str, Any], code: str) -> None:
        error = in_process.start(vm).error
        assert (error["code"], error["phase"], error["rollback"]) == (code, "start", "done"), error
        assert (state(vm["uuid"]), qemus_of(vm["uuid"])) == ("absent", [])

    def test_an_image(self, new_vm: NewVm, when_defined: Any) -> None:
        vm = new_vm()
        when_defined(Path(vm["root_volume"]["install_path"]).unlink)
        self.assert_undone(vm, "image_missing")

    def test_a_portal(self, new_vm: NewVm, when_defined: Any, tmp_path: Path) -> None:
        with ExitStack() as stack:
            server = stack.enter_context(IscsiServer())
            server.add_target(LOCKED, media.write_raw(tmp_path / "disk", ""), chap=("zs", "password-1234"))
            chap = {"chap_username": "zs", "chap_password": "password-1234"}
            volume = {"device_type": "iscsi", "install_path": server.install_path(LOCKED), **chap}
            when_defined(stack.close)
            self.assert_undone(new_vm(root_volume=volume), "storage_unreachable")

    def test_a_socket(self, new_vm: NewVm, servers: Servers, when_defined: Any) -> None:
        hidden = Path(NBD_SOCKET + ".hidden")
        when_defined(lambda: Path(NBD_SOCKET).rename(hidden))
        try:
            vm = new_vm(root_volume={"device_type": "fusionstor", "install_path": "fusionstor://pool/vol"})
            self.assert_undone(vm, "storage_unreachable")
        finally:
            hidden.rename(NBD_SOCKET)

    def test_a_monitor(self, new_vm: NewVm, servers: Servers, when_defined: Any) -> None:
        assert servers.ceph.monitor is not None
        monitor = servers.ceph.monitor.pid
        when_defined(lambda: os.kill(monitor, signal.SIGSTOP))
        try:
            vm = new_vm(root_volume=ceph_volume(servers), timeout=5, **key(servers.ceph.key))
            self.assert_undone(vm, "start_timeout")
        finally:
            os.kill(monitor, signal.SIGCONT)


def test_all_problems_are_reported_at_once(new_vm: NewVm, servers: Servers) -> None:
    vm = new_vm(
        root_volume=ceph_volume(servers, "ceph://nope/vol"),
        data_volumes=[lun(servers, IQN, 7), {"install_path": "/no/file"}],
        **key(servers.ceph.key),
    )
    run = playbook.failed(vm)
    for option in ("root_volume", "data_volumes[0]", "data_volumes[1]"):
        assert "vms[0].%s.install_path" % option in run.error["message"]


def test_in_check_mode_it_is_a_warning(new_vm: NewVm, servers: Servers) -> None:
    run = module_run.start(new_vm(root_volume=ceph_volume(servers, "ceph://nope/vol")), check=True)
    assert not run.failed
    assert SECRET in " ".join(run.vm["warnings"])


def test_a_server_is_queried_once_for_all_vms(new_vm: NewVm) -> None:
    """A server that keeps silent costs the task its time limit once, not once for each VM."""
    with silent_server() as port:
        volumes = [
            {"device_type": "iscsi", "install_path": "iscsi://127.0.0.1:%d/%s%d/1" % (port, IQN, number)}
            for number in range(6)
        ]
        vms = [new_vm(uuid=str(uuid.uuid4()), root_volume=volume) for volume in volumes]
        run = start_in_time(*vms)
    assert {entry["error"]["code"] for entry in run.vms} == {"storage_unreachable"}
