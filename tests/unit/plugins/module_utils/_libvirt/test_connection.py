# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection is opened and used within its deadlines, and each failure has its error code."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import connection
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.binding import libvirt
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.connection import SLOW_CALLS_AT_ONCE, Connection
from ansible_collections.zstack.kvm.tests.unit.plugins.module_utils._libvirt.node import libvirt_error

URI = "test:///default"
# VIR_FROM_RPC, VIR_FROM_QEMU, VIR_FROM_CGROUP
RPC, QEMU, CGROUP = 7, 10, 54


@pytest.fixture
def hang() -> Iterator[Any]:
    """Return a call that doesn't end before the test does."""
    ended = threading.Event()
    yield ended.wait
    ended.set()


class Libvirtd:
    """An open connection, alive or not."""

    def __init__(self, alive: bool) -> None:
        self.alive = alive
        self.closed = False

    def isAlive(self) -> bool:
        return self.alive

    def getLibVersion(self) -> int:
        return 9_000_000

    def unregisterCloseCallback(self) -> None:
        raise libvirt_error(libvirt.VIR_ERR_NO_SUPPORT)

    def close(self) -> None:
        self.closed = True
        raise libvirt_error(libvirt.VIR_ERR_RPC, RPC)


def connected(alive: bool = True) -> Connection:
    found = Connection(URI)
    found._connection = Libvirtd(alive)
    return found


def failed(call: Any, *arguments: Any) -> VmError:
    with pytest.raises(VmError) as caught:
        call(*arguments)
    return caught.value


def fail(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("uri", "is_session"),
    [("qemu:///session", True), ("qemu+ssh://root@hv1/session", True), ("qemu:///system", False), (URI, False)],
)
def test_a_users_own_libvirt_is_a_session(uri: str, is_session: bool) -> None:
    assert Connection(uri).is_session is is_session


class TestOpening:
    def test_a_connection_is_alive_until_it_is_closed(self) -> None:
        opened = Connection.connect(URI)
        assert opened._is_alive()
        opened.close()
        opened.close()
        assert not opened._is_alive()

    def test_a_libvirt_that_does_not_listen_is_unavailable(self, tmp_path: Path) -> None:
        error = failed(Connection.connect, "qemu+unix:///system?mode=direct&socket=%s/none" % tmp_path)
        assert error.code == "libvirt_unavailable"
        assert error.message.startswith("cannot open: ")

    def test_a_libvirt_that_does_not_answer_hangs(self, monkeypatch: pytest.MonkeyPatch, hang: Any) -> None:
        monkeypatch.setattr(connection, "open_authenticated", lambda uri: hang())
        error = failed(Connection.connect, URI, 0)
        assert (error.code, error.message) == (
            "libvirt_hangs",
            "libvirt at test:///default has not answered for 0 seconds",
        )

    def test_a_uri_that_c_cannot_represent_is_invalid(self) -> None:
        error = failed(Connection.connect, "test:///a\0b")
        assert error.code == "invalid_input"
        assert "'test:///a\\x00b'" in error.message

    @pytest.mark.parametrize("before", [None, Libvirtd(alive=False)])
    def test_a_connection_that_breaks_while_it_is_opened_or_reopened_is_unavailable(
        self, monkeypatch: pytest.MonkeyPatch, before: Libvirtd | None
    ) -> None:
        error = libvirt_error(libvirt.VIR_ERR_SYSTEM_ERROR, RPC, "End of file while reading data", 5)
        monkeypatch.setattr(connection, "open_authenticated", lambda uri: fail(error))
        monkeypatch.setattr(connection, "_CLOSE_SECONDS", 0)
        opened = Connection(URI)
        opened._connection = before
        assert failed(opened._open, 60).code == "libvirt_unavailable"


class TestErrors:
    def test_an_error_has_libvirts_numbers_and_words(self) -> None:
        error = failed(connected()._call, "start it", fail, libvirt_error(42, QEMU, "Domain not found: a\u202eb"))
        assert (error.code, error.libvirt_code, error.libvirt_source) == ("domain_gone", 42, QEMU)
        assert error.message == "cannot start it: Domain not found: a\ufffdb"

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_an_answer_that_is_not_text_is_an_error(self, wrapped: bool) -> None:
        def answer() -> None:
            try:
                b"\xff".decode("utf-8")
            except UnicodeDecodeError as error:
                if wrapped:
                    raise SystemError("returned a result with an exception set") from error
                raise

        error = failed(connected()._call, "read it", answer)
        assert error.code == "libvirt_error"
        assert error.message.startswith("cannot read it: libvirt's answer is not text: 'utf-8' codec can't decode")

    @pytest.mark.parametrize(
        ("reason", "code"),
        [(2, "libvirt_hangs"), (1, "connection_lost"), (0, "connection_lost"), (None, "connection_lost")],
    )
    def test_a_broken_connection_has_the_reason_that_libvirt_reports(
        self, monkeypatch: pytest.MonkeyPatch, reason: int | None, code: str
    ) -> None:
        monkeypatch.setattr(connection, "_CLOSE_SECONDS", 0)
        broken = connected(alive=False)
        if reason is not None:
            broken._closed(None, reason, None)
        for _call in range(2):
            assert failed(broken._call, "read it", fail, libvirt_error(38, RPC, "Cannot recv data")).code == code

    def test_an_error_of_the_connection_does_not_mean_that_it_is_broken(self) -> None:
        error = libvirt_error(1, RPC, "internal error: Number of interfaces 5000 exceeds the max limit: 2048")
        assert failed(connected(alive=True)._call, "read it", fail, error).code == "libvirt_error"


class TestEveryCallHasADeadline:
    def test_so_that_a_libvirtd_that_waits_for_storage_does_not_hang_the_task(
        self, monkeypatch: pytest.MonkeyPatch, hang: Any
    ) -> None:
        monkeypatch.setattr(connection, "LIBVIRT_SECONDS", 0.01)
        error = failed(connected()._call_libvirt, "list the domains", hang)
        assert (error.code, error.message) == (
            "libvirt_hangs",
            "cannot list the domains: libvirt has not answered for 0.01 seconds",
        )

    def test_and_an_answer_in_time_is_returned(self) -> None:
        assert connected()._call_libvirt("ask", "an answer {}".format, 1) == "an answer 1"

    def test_and_a_change_without_an_answer_says_that_it_may_still_happen(
        self, monkeypatch: pytest.MonkeyPatch, hang: Any
    ) -> None:
        monkeypatch.setattr(connection, "CHANGE_SECONDS", 0.01)
        error = failed(connected()._change_qemu, "plug it in", hang)
        assert error.message == "cannot plug it in: QEMU has not answered for 0.01 seconds; this may still happen later"

    def test_because_only_the_connection_makes_calls_without_one(self) -> None:
        package = Path(connection.__file__).parent
        others = [path for path in package.glob("*.py") if path.name != "connection.py"]
        assert len(others) > 10
        assert [path.name for path in others if "._call(" in path.read_text()] == []


class TestCallsThatWaitForAQemu:
    @pytest.fixture
    def interruptions(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Return the errors of libvirt whose loading of a BPF program a signal has interrupted."""
        monkeypatch.setattr(connection, "_CGROUP_PAUSE", 0)
        return [libvirt_error(libvirt.VIR_ERR_SYSTEM_ERROR, CGROUP, system_errno=errno.EAGAIN) for _time in range(100)]

    def test_return_its_answer(self) -> None:
        assert connected()._call_qemu(60, "ask", "an answer {}".format, 1) == "an answer 1"

    def test_are_made_again_while_the_kernel_is_interrupted(self, interruptions: list[Any]) -> None:
        del interruptions[4:]
        assert connected()._call_qemu(60, "start", lambda: fail(interruptions.pop()) if interruptions else 1) == 1

    def test_are_given_up_when_it_is_interrupted_each_time(self, interruptions: list[Any]) -> None:
        error = failed(connected()._call_qemu, 60, "start", lambda: fail(interruptions.pop()))
        assert (error.code, len(interruptions)) == ("cgroup_busy", 95)

    def test_end_when_it_hangs(self, hang: Any) -> None:
        error = failed(connected()._call_qemu, 0.01, "ask it", hang)
        assert (error.code, error.message) == ("qemu_hangs", "cannot ask it: QEMU has not answered for 0.01 seconds")

    def test_leave_a_slot_for_keepalives(self, monkeypatch: pytest.MonkeyPatch, hang: Any) -> None:
        monkeypatch.setattr(connection, "ANSWER_SECONDS", 60)
        busy = connected()
        for _qemu in range(SLOW_CALLS_AT_ONCE):
            assert failed(busy._call_qemu, 0.01, "ask", hang).code == "qemu_hangs"
        error = failed(busy._call_qemu, 0.01, "ask it", str)
        assert (error.code, error.message) == (
            "vm_busy",
            "cannot ask it: libvirt has waited for the QEMUs of 4 other VMs for 0.01 seconds",
        )
        # Most domains answer such a call without their QEMU.
        assert busy._call_domain("read it", str, "xml") == "xml"

    def test_that_could_not_begin_leave_their_slots(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(function: Any, seconds: float) -> None:
            raise VmError("no_threads", "no")

        used = connected()
        with monkeypatch.context() as patched:
            patched.setattr(connection, "call_with_deadline", refuse)
            for _call in range(SLOW_CALLS_AT_ONCE + 1):
                assert failed(used._call_qemu, 60, "ask", str).code == "no_threads"
        assert used._call_qemu(60, "ask", str, "an answer") == "an answer"

    def test_that_failed_leave_their_slots(self) -> None:
        used = connected()
        for _call in range(SLOW_CALLS_AT_ONCE + 1):
            assert failed(used._call_qemu, 60, "ask", fail, libvirt_error(55, QEMU)).code != "vm_busy"
            assert used._call_domain("read it", str, "xml") == "xml"


class Forgetful(Connection):
    """A connection that records when it drops its cached answers."""

    forgotten = 0

    def _forget(self) -> None:
        self.forgotten += 1


class TestReconnecting:
    def test_leaves_a_connection_that_is_alive(self) -> None:
        alive = Forgetful(URI)
        before = alive._connection = Libvirtd(alive=True)
        alive.reconnect()
        assert (alive._connection, alive.forgotten) == (before, 0)

    def test_opens_a_broken_one_and_forgets_what_libvirt_said(self) -> None:
        broken = Forgetful(URI)
        broken._connection = Libvirtd(alive=False)
        broken.reconnect()
        assert (broken._is_alive(), broken.forgotten) == (True, 1)
        broken.close()

    def test_gives_up_and_does_not_wait_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "RECONNECT_SECONDS", 0)
        lost = Connection("nonsense:///x")
        opened: list[int] = []

        def refuse(seconds: int) -> None:
            opened.append(seconds)
            raise VmError("libvirt_unavailable", "no")

        monkeypatch.setattr(lost, "_open", refuse)
        for _time in range(2):
            error = failed(lost.reconnect)
            assert (error.code, error.message) == (
                "connection_lost",
                "the connection to libvirt at nonsense:///x is lost",
            )
        assert len(opened) == 1


def test_a_broken_connection_can_be_closed() -> None:
    broken = connected(alive=False)
    libvirtd = broken._connection
    broken.close()
    assert (libvirtd.closed, broken._connection) == (True, None)
