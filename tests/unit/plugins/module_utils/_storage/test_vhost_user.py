# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes behind the sockets of vhost-user servers."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._storage import backends as storage
from ansible_collections.zstack.kvm.plugins.module_utils._storage.base import InquiryContext
from ansible_collections.zstack.kvm.tests.unit.fakes import parsed_vm
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._storage.items import source_text, volume


def ask(path: Path) -> Any:
    item = volume("vhost", str(path))
    context = InquiryContext(parsed_vm(), HostSystem().files, lambda uuid: None, {})
    return storage.backend_of(item).inquiry(item, context)


def test_qemu_reconnects_to_the_server() -> None:
    expected = '<source type="unix" path="/run/volume"><reconnect enabled="yes" timeout="10"/></source>'
    assert source_text(volume("vhost", "/run/volume")) == expected


def test_a_socket_is_not_connected_to(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.setblocking(False)
        assert ask(path) is None
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_socket_that_is_missing_or_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VmError, match="missing does not exist"):
        ask(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(VmError, match="file is not a socket"):
        ask(tmp_path / "file")
