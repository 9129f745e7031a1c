# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to libvirt, through which all calls go.

A libvirtd that hangs must not hang the task: opening has a deadline, and an open connection is given up when
libvirtd has answered no keepalive for C(KEEPALIVE_SECONDS) times C(KEEPALIVE_COUNT) seconds, which ends every
call that waits for it. Neither must a QEMU that hangs, or storage that libvirtd waits for while it answers keepalives:
every call has a deadline.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .._errors.errors import VmError
from ..deadline import call_with_deadline, start_thread
from ..foreign_text import clean, shorten
from ..waiting import wait_until, with_retries
from .authentication import is_denied, open_authenticated
from .binding import libvirt
from .error_classification import broke_connection, classify

Self = TypeVar("Self", bound="Connection")

OPEN_SECONDS = 30
RECONNECT_SECONDS = 15
_RETRY_SECONDS = 0.5
# The time between a call's failure on a closed connection and libvirt's report of the reason.
_CLOSE_SECONDS = 1
KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
# libvirtd works on five requests of a connection at a time (max_client_requests in libvirtd.conf); behind five that
# wait for their QEMUs not even a keepalive is read. So one slot stays free.
SLOW_CALLS_AT_ONCE = 4
# A working QEMU answers much sooner.
ANSWER_SECONDS = 10
CHANGE_SECONDS = 60
# libvirt itself waits 30 seconds at most for a call of the same domain. Probing all of a host's QEMUs takes longer.
LIBVIRT_SECONDS = 120
# The kernel refuses the BPF program of a domain's devices (EAGAIN) when libvirtd gets a signal meanwhile, for instance
# because a child has ended. libvirt does not load it again, as libbpf would, but undoes what it has begun.
_CGROUP_ATTEMPTS = 5
_CGROUP_PAUSE = 0.1


_loop_started = threading.Lock()


def _run_event_loop() -> None:
    """Run the event loop that libvirt needs for keepalives; one serves the whole process."""
    if not _loop_started.acquire(blocking=False):
        return
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    try:
        start_thread(run)
    except VmError:
        _loop_started.release()
        raise


class Connection:
    """The connection itself. Derived classes add the calls."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._connection: Any = None
        self._reconnecting = threading.Lock()
        self._given_up = False
        self._slow_calls = threading.BoundedSemaphore(SLOW_CALLS_AT_ONCE)
        self._closed = _Closed()

    @property
    def is_session(self) -> bool:
        """Return whether this is a user's own libvirt rather than the hypervisor's."""
        return urlsplit(self.uri).path == "/session"

    @classmethod
    def connect(cls: type[Self], uri: str, seconds: int = OPEN_SECONDS) -> Self:
        """Open the connection, in C(seconds) at most."""
        hypervisor = cls(uri)
        hypervisor._open(seconds)
        return hypervisor

    def _open(self, seconds: int) -> None:
        # libvirt prints errors to stderr unless a handler is set before its first call.
        libvirt.registerErrorHandler(lambda context, error: None, None)
        _run_event_loop()
        self._closed = _Closed()
        try:
            self._connection = call_with_deadline(self._opened, seconds)
        except TimeoutError as error:
            message = "libvirt at %s has not answered for %d seconds" % (self.uri, seconds)
            raise VmError("libvirt_hangs", message) from error
        except ValueError as error:
            # The bindings reject text that C cannot represent, such as one with a NUL.
            raise VmError("invalid_input", "uri: %a cannot be given to libvirt: %s" % (self.uri, error)) from error
        except VmError as error:
            if error.code == "connection_lost":
                raise error.replaced(code="libvirt_unavailable") from error
            raise

    def _opened(self) -> Any:
        connection = self._call("open", open_authenticated, self.uri)
        try:
            connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
            connection.registerCloseCallback(self._closed, None)
        except libvirt.libvirtError:
            # Drivers within this process (test, embed) have no keepalive.
            pass
        return connection

    def reconnect(self) -> None:
        """Reopen a broken connection, waiting for a libvirtd that restarts. After one failure, do not wait again."""
        with self._reconnecting:
            if self._is_alive():
                return
            self._given_up = self._given_up or not wait_until(self._reopen, RECONNECT_SECONDS, poll=_RETRY_SECONDS)
            if self._given_up:
                raise VmError("connection_lost", "the connection to libvirt at %s is lost" % self.uri)

    def _reopen(self) -> bool:
        self._forget()
        try:
            self._open(RECONNECT_SECONDS)
        except VmError:
            return False
        return self._is_alive()

    def _is_alive(self) -> bool:
        return self._connection is not None and bool(self._connection.isAlive())

    def close(self) -> None:
        """Close the connection, broken or not."""
        if self._connection is not None:
            self._forget()
            try:
                # libvirt keeps a connection open while a close callback is registered.
                self._connection.unregisterCloseCallback()
            except libvirt.libvirtError:
                pass
            try:
                self._connection.close()
            except libvirt.libvirtError:
                pass
            self._connection = None

    def _forget(self) -> None:
        """Drop cached answers, which may be outdated after libvirtd has restarted."""

    def _call(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call libvirt, without a deadline; all calls go through here. C(what) describes the call in errors."""
        try:
            return function(*arguments)
        except libvirt.libvirtError as error:
            raise self._vm_error(what, error) from None
        except (UnicodeDecodeError, SystemError) as error:
            # Some of the bindings' functions wrap one in the other.
            reason = "libvirt's answer is not text: %s" % (error.__cause__ or error)
            raise VmError("libvirt_error", "cannot %s: %s" % (what, reason)) from None

    def _vm_error(self, what: str, error: Any) -> VmError:
        number, source = error.get_error_code(), error.get_error_domain()
        message = clean(shorten(str(error.get_error_message())))
        code = classify(number, source, error.get_int1(), message)
        if self._connection is None and is_denied(number, source, error.get_int1()):
            code = "libvirt_denied"
        elif broke_connection(number, source):
            if self._connection is None:
                code = "libvirt_unavailable"
            elif self._is_lost():
                code = self._closed.error_code()
        return VmError(
            code,
            "cannot %s: %s" % (what, message),
            libvirt_code=number,
            libvirt_message=message,
            libvirt_source=source,
        )

    def _is_lost(self) -> bool:
        """Return whether the connection is unusable."""
        try:
            if self._is_alive():
                self._connection.getLibVersion()
                return False
        except libvirt.libvirtError:
            pass
        return True

    def _call_libvirt(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call that asks no QEMU. Raise C(libvirt_hangs) if it takes longer than C(LIBVIRT_SECONDS)."""
        try:
            return call_with_deadline(partial(self._call, what, function, *arguments), LIBVIRT_SECONDS)
        except TimeoutError as error:
            message = "cannot %s: libvirt has not answered for %g seconds" % (what, LIBVIRT_SECONDS)
            raise VmError("libvirt_hangs", message) from error

    def _call_qemu(self, seconds: float, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call that waits for a QEMU. Raise C(qemu_hangs) if it takes longer than C(seconds).

        Raise C(vm_busy) if all slots are waiting for other QEMUs during that time.
        """
        call = partial(self._call_qemu_once, seconds, what, function, *arguments)
        return with_retries(call, lambda error: error.code == "cgroup_busy", _CGROUP_ATTEMPTS, _CGROUP_PAUSE)

    def _call_qemu_once(self, seconds: float, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        if not self._slow_calls.acquire(timeout=seconds):
            message = "cannot %s: libvirt has waited for the QEMUs of %d other VMs for %g seconds"
            raise VmError("vm_busy", message % (what, SLOW_CALLS_AT_ONCE, seconds))
        return self._in_time(seconds, True, what, function, *arguments)

    def _call_domain(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call that asks no QEMU, but on newer libvirt waits for another call of the domain that does.

        Raise C(qemu_hangs) as L(_call_qemu) does. While all slots wait for QEMUs the call is made all the same: on
        most domains it returns at once.
        """
        has_slot = self._slow_calls.acquire(blocking=False)
        return self._in_time(ANSWER_SECONDS, has_slot, what, function, *arguments)

    def _in_time(self, seconds: float, has_slot: bool, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        def call() -> Any:
            try:
                return self._call(what, function, *arguments)
            finally:
                if has_slot:
                    self._slow_calls.release()

        try:
            return call_with_deadline(call, seconds)
        except TimeoutError as error:
            message = "cannot %s: QEMU has not answered for %g seconds" % (what, seconds)
            raise VmError("qemu_hangs", message) from error
        except VmError as error:
            # The call has not begun.
            if has_slot and error.code == "no_threads":
                self._slow_calls.release()
            raise

    def _change_qemu(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return _with_doubt(partial(self._call_qemu, CHANGE_SECONDS, what, function, *arguments))

    def _change_domain(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Make a change that asks no QEMU. The error says that it may still be made if there is no answer."""
        return _with_doubt(partial(self._call_libvirt, what, function, *arguments))


def _with_doubt(change: Callable[[], Any]) -> Any:
    try:
        return change()
    except VmError as error:
        if error.code not in ("libvirt_hangs", "qemu_hangs"):
            raise
        raise error.replaced(message=error.message + "; this may still happen later") from error


class _Closed:
    """The reason that libvirt reports when it closes a connection."""

    def __init__(self) -> None:
        self._reasons: queue.SimpleQueue[int] = queue.SimpleQueue()

    def __call__(self, _connection: Any, reason: int, _opaque: Any) -> None:
        self._reasons.put(reason)

    def error_code(self) -> str:
        """Return the error code for the reason; the thread that reports it may be a moment behind."""
        try:
            reason = self._reasons.get(timeout=_CLOSE_SECONDS)
        except queue.Empty:
            return "connection_lost"
        self._reasons.put(reason)
        return "libvirt_hangs" if reason == libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE else "connection_lost"
