# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor's own system, on simulated file trees, and what a remote libvirt leaves of it."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.devices import UsbHostDevice
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import (
    HostSystem,
    RemoteSystem,
    system_of,
)


def write(root: Path, path: str, text: str = "") -> None:
    """Write a file in a tree."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


class TestPaths:
    def test_kinds(self, tmp_path: Path) -> None:
        write(tmp_path, "/file")
        (tmp_path / "lost").symlink_to("/nowhere/at/all")
        system = HostSystem(str(tmp_path))
        assert [system.files.path_kind(path) for path in ('/', '/file', '/lost', '/none', '/file/below')] == [
            'directory', 'file', None, None, None,
        ]  # fmt: skip

    def test_a_directory_is_created_with_its_parents_and_removed_again(self, tmp_path: Path) -> None:
        system = HostSystem(str(tmp_path))
        made = system.files.make_directory("/run/a/b", 0o750, (os.getuid(), os.getgid()))
        assert made == ["/run", "/run/a", "/run/a/b"]
        assert [(tmp_path / path.lstrip("/")).stat().st_mode & 0o777 for path in made] == [0o755, 0o755, 0o750]
        system.files.remove_directories(made)
        assert os.listdir(tmp_path) == []

    def test_a_directory_that_exists_is_left_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir(mode=0o711)
        assert HostSystem(str(tmp_path)).files.make_directory("/here", 0o750) == []
        assert (tmp_path / "here").stat().st_mode & 0o777 == 0o711

    def test_a_directory_that_something_is_in_is_not_removed(self, tmp_path: Path) -> None:
        system = HostSystem(str(tmp_path))
        made = system.files.make_directory("/run/a", 0o750)
        write(tmp_path, "/run/a/socket")
        system.files.remove_directories(made)
        assert (tmp_path / "run/a/socket").exists()

    def test_a_private_file_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        HostSystem(str(tmp_path)).files.write_private_file("/backups/a.xml", "text")
        assert (tmp_path / "backups/a.xml").read_text(encoding="utf-8") == "text"
        assert (tmp_path / "backups/a.xml").stat().st_mode & 0o777 == 0o600
        assert os.listdir(tmp_path / "backups") == ["a.xml"]

    def test_the_end_of_a_file(self, tmp_path: Path) -> None:
        write(tmp_path, "/log", "0123456789")
        system = HostSystem(str(tmp_path))
        tails = [
            system.files.read_tail("/log", 4),
            system.files.read_tail("/log", 99),
            system.files.read_tail("/none", 4),
        ]
        assert tails == ["6789", "0123456789", ""]


class TestPrograms:
    def test_that_take_too_long_are_ended(self) -> None:
        began = time.monotonic()
        with pytest.raises(VmError) as caught:
            HostSystem().processes.run(["sleep", "300"], timeout=0.2)
        assert caught.value.code == "command_timeout"
        assert time.monotonic() - began < 100

    def test_that_are_missing(self) -> None:
        with pytest.raises(VmError) as caught:
            HostSystem().processes.run(["no-such-program"], timeout=1)
        assert caught.value.code == "command_missing"

    def test_read_their_input_and_answer_in_the_c_locale(self) -> None:
        done = HostSystem().processes.run(["sh", "-c", "cat; echo $LC_ALL"], timeout=10, stdin="secret ")
        assert (done.returncode, done.stdout) == (0, "secret C\n")


class TestDevices:
    def test_a_bridge_is_distinguished_from_other_interfaces(self, tmp_path: Path) -> None:
        (tmp_path / "sys/class/net/br0/bridge").mkdir(parents=True)
        (tmp_path / "sys/class/net/eth0").mkdir(parents=True)
        system = HostSystem(str(tmp_path))
        assert [system.network.bridge_exists(name) for name in ("br0", "eth0", "none")] == [True, False, False]

    def test_usb_devices_are_those_with_numbers(self, tmp_path: Path) -> None:
        for name, text in (("busnum", "1\n"), ("devnum", "4\n"), ("idVendor", "046d\n"), ("idProduct", "c52b\n")):
            write(tmp_path, "/sys/bus/usb/devices/1-2/" + name, text)
        write(tmp_path, "/sys/bus/usb/devices/1-2:1.0/bInterfaceNumber", "00\n")
        assert HostSystem(str(tmp_path)).devices.usb_devices() == [UsbHostDevice(1, 4, 0x046D, 0xC52B)]

    def test_free_memory_is_what_is_available(self, tmp_path: Path) -> None:
        write(tmp_path, "/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
        assert HostSystem(str(tmp_path)).devices.free_memory() == 2048 * 1024

    def test_addresses_are_the_local_ones(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            "/proc/net/fib_trie",
            "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.5\n        /32 host LOCAL\n"
            "     |-- 10.0.0.255\n        /32 link BROADCAST\n",
        )
        write(tmp_path, "/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80     eth0\n")
        assert HostSystem(str(tmp_path)).network.ip_addresses() == {"10.0.0.5", "fd00::1"}

    def test_a_socket_has_a_listener_until_it_is_left_behind(self, tmp_path: Path) -> None:
        path, system = tmp_path / "socket", HostSystem(str(tmp_path))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            assert not system.network.has_listener("/socket")
            server.listen(0)
            # The second and third find the queue full.
            assert [system.network.has_listener("/socket") for _try in range(3)] == [True] * 3
        assert not system.network.has_listener("/socket")

    def test_ports_that_are_listened_on(self, tmp_path: Path) -> None:
        header = "  sl  local_address rem_address   st tx_queue\n"
        write(
            tmp_path,
            "/proc/net/tcp",
            header + "   0: 0100007F:170C 00000000:0000 0A 0\n   1: 0100007F:170D 0100007F:0016 01 0\n",
        )
        write(
            tmp_path,
            "/proc/net/tcp6",
            header
            + "   0: 00000000000000000000000000000000:170E 00000000000000000000000000000000:0000 0A 0\n"
            + "   1: 0000000000000000FFFF00000100007F:170F 00000000000000000000000000000000:0000 0A 0\n",
        )
        assert HostSystem(str(tmp_path)).network.listening_endpoints() == [
            ("127.0.0.1", 5900),
            ("::", 5902),
            ("127.0.0.1", 5903),
        ]

    def test_a_port_answers_while_something_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert HostSystem().network.answers("127.0.0.1", port)
        assert not HostSystem().network.answers("127.0.0.1", port)


class TestRemote:
    @pytest.mark.parametrize(
        "uri, remote",
        [
            ("qemu:///system", False),
            ("qemu+unix:///system?socket=/run/libvirt/virtqemud-sock", False),
            ("test:///default", False),
            ("qemu+ssh://root@hv1/system", True),
            ("qemu+tls://10.0.0.1/system", True),
        ],
    )
    def test_is_what_names_a_host(self, uri: str, remote: bool) -> None:
        assert system_of(uri).is_remote is remote

    def test_refuses_what_only_the_hypervisor_can_do(self) -> None:
        with pytest.raises(VmError) as caught:
            RemoteSystem("qemu+ssh://hv1/system").files.make_directory("/run/a", 0o750)
        assert caught.value.code == "needs_hypervisor"
        assert "needs the files" in caught.value.message
        assert "qemu+ssh://hv1/system" in caught.value.message
