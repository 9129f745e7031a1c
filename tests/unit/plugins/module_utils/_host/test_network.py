# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host import network
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Start a server that accepts connections and says nothing, and give its port."""
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
