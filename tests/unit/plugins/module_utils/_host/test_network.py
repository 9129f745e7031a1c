# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices, addresses and ports of the hypervisor's network, and servers that do or do not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host import network
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._host.tree import write


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield the port of a server that accepts connections and stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def failure(port: int) -> tuple[str, str]:
    with pytest.raises(VmError) as caught:
        HostSystem().network.connect("127.0.0.1", port, 0.2, greeting=8)
    return caught.value.code, caught.value.message


class TestASilentServerHasOneText:
    EXPECTED = ("storage_unreachable", "no answer within 0.2 seconds")

    def test_where_the_socket_times_out_first(self, silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "call_with_deadline", lambda function, seconds: function())
        assert failure(silent_port) == self.EXPECTED

    def test_where_the_deadline_passes_first(self, silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        never = threading.Event()
        monkeypatch.setattr(socket, "create_connection", lambda address, timeout: never.wait())
        assert failure(silent_port) == self.EXPECTED


def test_what_the_system_says_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert failure(port) == ("storage_unreachable", "Connection refused")


def test_a_bridge_is_distinguished_from_other_interfaces(tmp_path: Path) -> None:
    (tmp_path / "sys/class/net/br0/bridge").mkdir(parents=True)
    (tmp_path / "sys/class/net/eth0").mkdir(parents=True)
    system = HostSystem(str(tmp_path))
    assert [system.network.bridge_exists(name) for name in ("br0", "eth0", "none")] == [True, False, False]


def test_addresses_are_the_local_ones(tmp_path: Path) -> None:
    write(
        tmp_path,
        "/proc/net/fib_trie",
        "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.5\n        /32 host LOCAL\n"
        "     |-- 10.0.0.255\n        /32 link BROADCAST\n",
    )
    write(tmp_path, "/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80     eth0\n")
    assert HostSystem(str(tmp_path)).network.ip_addresses() == {"10.0.0.5", "fd00::1"}


def test_a_socket_has_a_listener_until_it_is_left_behind(tmp_path: Path) -> None:
    path, system = tmp_path / "socket", HostSystem(str(tmp_path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert not system.network.has_listener("/socket")
        server.listen(0)
        # The second and third find the queue full.
        assert [system.network.has_listener("/socket") for _try in range(3)] == [True] * 3
    assert not system.network.has_listener("/socket")


def test_ports_that_are_listened_on(tmp_path: Path) -> None:
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


def test_a_port_answers_while_something_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert HostSystem().network.answers("127.0.0.1", port)
    assert not HostSystem().network.answers("127.0.0.1", port)
