# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons that libvirt needs to start a VM, on a simulated file tree with real sockets."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import Problem, VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem, RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._start.daemons import (
    daemon_problem,
    daemon_problems,
    missing_daemons,
)

SYSTEM = "qemu:///system"


class Vm:
    option_path = "vms[0]"


VM: Any = Vm()


class Machine:
    """A hypervisor's files, and daemons that listen or don't."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root = root
        self._stack = stack
        for directory in ("run/libvirt", "etc/libvirt"):
            (root / directory).mkdir(parents=True)
        self.system = HostSystem(str(root))

    def socket(self, daemon: str, listening: bool) -> None:
        server = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(self._root / "run/libvirt" / f"{daemon}-sock"))
        if listening:
            server.listen()

    def configure(self, text: str) -> None:
        (self._root / "etc/libvirt/qemu.conf").write_text(text, encoding="utf-8")

    def missing(self, uri: str = SYSTEM) -> list[str]:
        return [message.partition(" ")[0] for message in missing_daemons(self.system, uri)]


@pytest.fixture
def machine() -> Iterator[Machine]:
    # The paths of sockets may not be long.
    with tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        yield Machine(Path(root), stack)


def test_one_that_listens_is_no_problem(machine: Machine) -> None:
    machine.socket("virtlogd", listening=True)
    assert machine.missing() == []


def test_one_that_has_no_socket_or_does_not_listen_is_one(machine: Machine) -> None:
    assert daemon_problems(VM, missing_daemons(machine.system, SYSTEM)) == [
        Problem(
            "vms[0]",
            "virtlogd does not listen on /run/libvirt/virtlogd-sock, and libvirt starts no VM without it",
            "daemon_unavailable",
        )
    ]
    machine.socket("virtlogd", listening=False)
    assert machine.missing() == ["virtlogd"]


@pytest.mark.parametrize(
    ("configuration", "missing"),
    [
        ('stdio_handler = "file"\n', []),
        ('#stdio_handler = "file"\n', ["virtlogd"]),
        ('  stdio_handler="logd"\nlock_manager = "lockd"\n', ["virtlogd", "virtlockd"]),
        ('stdio_handler = "file"\nlock_manager = "sanlock"\n', []),
    ],
)
def test_those_are_needed_that_the_configuration_of_qemu_names(
    machine: Machine, configuration: str, missing: list[str]
) -> None:
    machine.configure(configuration)
    assert machine.missing() == missing


@pytest.mark.parametrize("uri", ["qemu:///session", "test:///default", "qemu:///embed?root=/a"])
def test_other_libvirts_than_the_system_s_have_daemons_of_their_own(machine: Machine, uri: str) -> None:
    assert machine.missing(uri) == []


def test_what_is_missing_elsewhere_is_left_to_libvirt() -> None:
    remote = "qemu+ssh://hv1/system"
    assert missing_daemons(RemoteSystem(remote), remote) == []


def test_an_error_is_a_problem_only_where_a_daemon_is_missing() -> None:
    error = VmError("daemon_unavailable", "cannot list the network filters: no virtnwfilterd")
    assert daemon_problem("vms[0]", error) == [Problem("vms[0]", error.message, "daemon_unavailable")]
    assert daemon_problem("vms[0]", VmError("libvirt_error", "no")) == []
