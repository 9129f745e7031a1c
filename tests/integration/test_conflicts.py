# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conflicts with other VMs are found before anything is changed, and the error names the other VM."""

from __future__ import annotations

import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.forked_task import start
from ansible_collections.zstack.kvm.tests.support.obedient_guest import wait_until_up, write_obedient_disk
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.servers.process import free_port
from ansible_collections.zstack.kvm.tests.support.virsh import definition, state, virsh

CHANNELS = Path("/var/lib/libvirt/qemu")
DATA = b"somebody's data\0"


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Yield the path of a socket where QEMU may listen."""
    path = CHANNELS / f"test-{uuid.uuid4().hex[:8]}.sock"
    yield path
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


@pytest.fixture
def image(images: Path) -> Path:
    """Return an image that belongs to somebody else."""
    path = images / "other.img"
    path.write_bytes(DATA)
    return path


def channel(path: Path) -> dict[str, Any]:
    return {"channels": [{"socket_path": str(path), "target_name": "org.qemu.guest_agent.0"}]}


def patches(xml: str, xpath: str = "/domain/devices") -> dict[str, Any]:
    return {"domain_patches": [{"action": "add", "xpath": xpath, "value": xml}]}


def replaced(xpath: str, xml: str) -> dict[str, Any]:
    return {"domain_patches": [{"action": "replace", "xpath": xpath, "value": xml}]}


def nic(name: str, number: int = 1) -> dict[str, Any]:
    return {"bridge_name": "br_eth0", "nic_internal_name": name, "mac": f"fa:16:3e:00:77:{number:02x}"}


def tap_name() -> str:
    return f"vn{uuid.uuid4().hex[:8]}.0"


def refused(run: TaskRun, code: str, *texts: str) -> None:
    """Assert that the task failed before it changed anything."""
    assert run.failed, run.output
    assert (run.error["code"], run.error["rollback"], run.actions) == (code, "not_needed", []), run.error
    for text in texts:
        assert text in run.error["message"]


def started(*vms: dict[str, Any], **options: Any) -> TaskRun:
    done = start(*vms, **options)
    assert not done.failed, done.output
    return done


@contextmanager
def listening(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


class TestChannelSocket:
    @pytest.mark.parametrize("what", ["file", "link", "directory"])
    def test_path_that_something_else_has(self, new_vm: NewVm, image: Path, socket_path: Path, what: str) -> None:
        create: dict[str, Callable[[], object]] = {
            "file": lambda: socket_path.write_bytes(DATA),
            "link": lambda: socket_path.symlink_to(image),
            "directory": socket_path.mkdir,
        }
        create[what]()
        before = socket_path.lstat()
        vm = new_vm(**channel(socket_path))
        refused(start(vm), "path_taken", "vms[0].channels[0].socket_path", str(socket_path), what)
        assert (socket_path.lstat().st_ino, socket_path.lstat().st_size) == (before.st_ino, before.st_size)
        assert image.read_bytes() == DATA
        assert state(vm["uuid"]) == "absent"

    def test_path_of_the_vms_own_disk(self, new_vm: NewVm) -> None:
        vm = new_vm()
        disk = Path(vm["root_volume"]["install_path"])
        before = disk.read_bytes()
        refused(start({**vm, **channel(disk)}), "path_taken")
        assert disk.read_bytes() == before

    def test_that_another_running_vm_has(self, new_vm: NewVm, socket_path: Path) -> None:
        first, second = new_vm(**channel(socket_path)), new_vm(**channel(socket_path))
        started(first)
        refused(start(second), "address_in_use", str(socket_path), first["name"], first["uuid"])
        assert answers(socket_path)
        # Check mode predicts it.
        predicted = start(second, check=True)
        assert not predicted.failed
        assert any(first["uuid"] in warning for warning in predicted.vm["warnings"])
        # A VM that is off does not keep others from starting.
        virsh("destroy", first["uuid"])
        (warning,) = [text for text in started(second).vm["warnings"] if str(socket_path) in text]
        assert first["uuid"] in warning

    def test_that_another_vm_of_the_task_still_has(self, new_vm: NewVm, socket_path: Path) -> None:
        first, second = new_vm(**channel(socket_path)), new_vm(**channel(socket_path))
        started(first)
        run = start({key: value for key, value in first.items() if key != "channels"}, second)
        assert run.vms[1]["error"]["code"] == "address_in_use"
        assert first["uuid"] in run.vms[1]["error"]["message"]
        assert answers(socket_path)

    def test_that_a_process_listens_on(self, new_vm: NewVm, socket_path: Path) -> None:
        with listening(socket_path):
            refused(start(new_vm(**channel(socket_path))), "address_in_use", "a process of the hypervisor")
            assert answers(socket_path)

    def test_that_nobody_listens_on_is_replaced(self, new_vm: NewVm, socket_path: Path) -> None:
        with listening(socket_path):
            pass
        started(new_vm(**channel(socket_path)))
        assert answers(socket_path)

    def test_behind_a_link_of_qemus_user(self, new_vm: NewVm, images: Path, socket_path: Path) -> None:
        socket_path.symlink_to(images)
        refused(start(new_vm(**channel(socket_path / "agent"))), "path_unsafe", "not root's alone")
        assert not (images / "agent").exists()


class TestFilesOfDevices:
    @pytest.mark.parametrize(
        "xml",
        [
            "<serial type='file'><source path='{path}'/><target port='1'/></serial>",
            "<serial type='pipe'><source path='{path}'/><target port='1'/></serial>",
            "<serial type='pipe'><source path='{without_suffix}'/><target port='1'/></serial>",
            "<serial type='dev'><source path='{path}'/><target port='1'/></serial>",
            "<serial type='pty'><log file='{path}' append='off'/><target port='1'/></serial>",
            "<serial type='unix'><source mode='bind' path='{path}'/><target port='1'/></serial>",
        ],
    )
    def test_are_not_written_over_an_image(self, new_vm: NewVm, image: Path, xml: str) -> None:
        image = image.rename(image.with_suffix(".out"))
        vm = new_vm(**patches(xml.format(path=image, without_suffix=image.with_suffix(""))))
        refused(start(vm), "path_taken", "vms[0].domain_patches[0]", str(image))
        assert image.read_bytes() == DATA
        assert state(vm["uuid"]) == "absent"

    def test_are_no_servers_of_shared_memory(self, new_vm: NewVm, image: Path) -> None:
        before = image.stat()
        server = "<shmem name='a'><model type='ivshmem-doorbell'/><server path='{}'/><msi vectors='2'/></shmem>"
        refused(start(new_vm(**patches(server.format(image)))), "socket_unreachable", "domain_patches[0]", str(image))
        after = image.stat()
        assert (after.st_uid, after.st_mode, image.read_bytes()) == (before.st_uid, before.st_mode, DATA)
        run = start(new_vm(**patches(server.format(image.with_name("none")))))
        assert (run.error["code"], run.error["phase"]) == ("socket_unreachable", "start"), run.error

    def test_are_found_when_a_running_vm_gets_them_at_its_next_boot(self, new_vm: NewVm, image: Path) -> None:
        vm = new_vm()
        started(vm)
        xml = f"<serial type='file'><source path='{image}'/><target port='1'/></serial>"
        refused(start({**vm, **patches(xml)}), "path_taken", str(image))
        assert str(image) not in virsh("dumpxml", "--inactive", vm["uuid"])

    def test_do_not_replace_the_hypervisors_dev_null(self, new_vm: NewVm) -> None:
        xml = "<serial type='file'><source path='/dev/null'/><target port='1'/></serial>"
        refused(start(new_vm(**patches(xml))), "path_taken", "/dev/null", "virtlogd would replace")
        assert Path("/dev/null").is_char_device()

    def test_are_not_the_vms_own_disk(self, new_vm: NewVm) -> None:
        vm = new_vm()
        disk = Path(vm["root_volume"]["install_path"])
        before = disk.read_bytes()
        xml = f"<serial type='file'><source path='{disk}'/><target port='1'/></serial>"
        refused(start({**vm, **patches(xml)}), "path_taken", "a disk of the VM")
        assert disk.read_bytes() == before

    def test_sockets_and_names_of_the_vm_itself_are_used_again(
        self, new_vm: NewVm, images: Path, socket_path: Path
    ) -> None:
        log = images / "console.log"
        xml = (
            f"<serial type='file'><source path='{log}'/><target port='1'/></serial>"
            f"<serial type='unix'><source mode='bind' path='{socket_path}'/><target port='2'/></serial>"
        )
        nics = [nic(tap_name())]
        root = {"install_path": str(write_obedient_disk(images / "root.raw")), "format": "raw"}
        vm = new_vm(root_volume=root, nics=nics, **patches(xml))
        images.chmod(0o777)
        started(vm)
        wait_until_up(vm["uuid"])
        log.write_text("the guest's output", encoding="utf-8")
        # A restart of a running VM, and a start of one that is off.
        assert "start" in started({**vm, "cpu_num": 2}, on_drift="restart").actions
        virsh("destroy", vm["uuid"])
        assert "start" in started({**vm, "cpu_num": 2}).actions

    def test_nvram_is_no_image(self, new_vm: NewVm, image: Path) -> None:
        vm = new_vm(**patches(f"<nvram>{image}</nvram>", "/domain/os"))
        refused(start(vm), "path_taken", "no variables of firmware")
        assert image.read_bytes() == DATA


class TestNicName:
    def test_of_a_device_of_the_host(self, new_vm: NewVm) -> None:
        name = tap_name()
        subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
        try:
            vm = new_vm(nics=[nic(name)])
            refused(start(vm), "nic_name_taken", "vms[0].nics[0].nic_internal_name", name)
            assert state(vm["uuid"]) == "absent"
        finally:
            subprocess.run(["ip", "link", "delete", name], check=True)

    def test_and_mac_of_another_vm(self, new_vm: NewVm) -> None:
        name = tap_name()
        first, second = new_vm(nics=[nic(name)]), new_vm(nics=[nic(name)])
        started(first)
        refused(start(second), "nic_name_taken", name, first["name"], first["uuid"])
        other_name = {**second, "nics": [nic(tap_name())]}
        (warning,) = [text for text in start(other_name, check=True).vm["warnings"] if "MAC" in text]
        assert warning.startswith("vms[0].nics[0].mac: fa:16:3e:00:77:01") and first["uuid"] in warning
        virsh("destroy", first["uuid"])
        warnings = started(second).vm["warnings"]
        assert [first["uuid"] in text and "off" in text for text in warnings if name in text] == [True]

    def test_of_a_nic_that_a_running_vm_gets(self, new_vm: NewVm) -> None:
        name = tap_name()
        first, second = new_vm(nics=[nic(name)]), new_vm()
        started(first, second)
        before = definition(second["uuid"], inactive=False)
        refused(start({**second, "nics": [nic(name, 2)]}, on_drift="live"), "nic_name_taken", first["uuid"])
        assert len(definition(second["uuid"], inactive=False).findall("devices/interface")) == 0
        assert before.findtext("name") == definition(second["uuid"]).findtext("name")


class TestConsolePort:
    def fixed(self, port: int) -> dict[str, Any]:
        return replaced(
            "/domain/devices/graphics", f"<graphics type='vnc' port='{port}' autoport='no' listen='127.0.0.1'/>"
        )

    def test_that_a_process_listens_on(self, new_vm: NewVm) -> None:
        with socket.create_server(("0.0.0.0", 0)) as server:
            port = server.getsockname()[1]
            vm = new_vm(**self.fixed(port))
            refused(start(vm), "address_in_use", f"port {port} on 127.0.0.1", "a process of the hypervisor")
            assert state(vm["uuid"]) == "absent"

    def test_of_another_vm(self, new_vm: NewVm) -> None:
        port = free_port("127.0.0.1")
        first, second = new_vm(**self.fixed(port)), new_vm(**self.fixed(port))
        started(first)
        refused(start(second), "address_in_use", first["uuid"])


class TestCalls:
    """The number of definitions of other VMs that are read from libvirt."""

    def reads(self, calls: Path, *vms: dict[str, Any]) -> int:
        calls.write_text("", encoding="utf-8")
        started(*vms, calls=calls)
        return calls.read_text(encoding="utf-8").splitlines().count("read the definition")

    def test_none_if_nothing_changes_and_one_per_other_vm_if_a_vm_starts(self, new_vm: NewVm, tmp_path: Path) -> None:
        others = [new_vm() for _number in range(3)]
        started(*others)
        virsh("destroy", others[0]["uuid"])
        running, *new = (new_vm(nics=[nic(tap_name(), number)]) for number in range(3))
        alone = self.reads(tmp_path / "calls", running)
        unchanged = self.reads(tmp_path / "calls", running)
        assert unchanged == 2
        # Each of the four other VMs once, however many VMs start; a started VM is read for its console.
        assert self.reads(tmp_path / "calls", *new) == 4 + 2
        assert alone == 3 + 1


class TestBackups:
    def test_of_one_second_are_kept_both(self, new_vm: NewVm) -> None:
        vm = new_vm()
        started(vm)
        files = [started({**vm, "cpu_num": count}, backup=True, check=False).vm["backup_file"] for count in (2, 3, 4)]
        try:
            assert len(set(files)) == 3
            assert all(os.stat(name).st_mode & 0o777 == 0o600 for name in files)
        finally:
            for name in files:
                Path(name).unlink(missing_ok=True)
