# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is waited for when a VM runs: what its wait_for names, and no longer than that takes.

The console is made up: that of a QEMU always listens.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import Context
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._start import readiness as usable

CONSOLE = {"type": "vnc", "host": "0.0.0.0", "port": 5900}


class Hypervisor:
    """One VM in one state, with a serial console that says nothing and a screen without a picture."""

    def __init__(self, state: str) -> None:
        self._state = state

    def state(self, uuid: str) -> tuple[str, str]:
        return self._state, "booted"

    def open_console(self, uuid: str) -> Any:
        return SimpleNamespace(read=lambda: b"", close=lambda: None)

    def screenshot(self, uuid: str) -> bytes:
        raise VmError("libvirt_error", "no picture")


class System:
    """A console that answers at the attempt of that number, and what was asked for it."""

    is_remote = False

    def __init__(self, answers_at: int) -> None:
        self._answers_at = answers_at
        self.asked: list[tuple[str, int]] = []

    def answers(self, address: str, port: int) -> bool:
        self.asked.append((address, port))
        return len(self.asked) == self._answers_at

    def read_tail(self, path: str, size: int) -> str:
        return ""


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usable, "CONSOLE_SECONDS", 0.3)


def wait(system: System, wait_for: str = "console", state: str = "running") -> None:
    vm: Any = SimpleNamespace(uuid="6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11", domain_name="web", wait_for=wait_for)
    hypervisor: Any = Hypervisor(state)
    unused: Any = None
    context = Context(hypervisor, system, vm, unused, threading.Event())
    context.done.append("start")
    usable.wait_until_usable(context, CONSOLE)


def test_a_console_is_waited_for_until_it_listens() -> None:
    system = System(answers_at=2)
    wait(system)
    assert system.asked == [("127.0.0.1", 5900)] * 2


def test_a_console_that_does_not_listen_is_an_error_that_says_what_was_seen() -> None:
    with pytest.raises(VmError) as caught:
        wait(System(answers_at=0))
    assert (caught.value.code, caught.value.phase) == ("console_timeout", "wait_for_console")
    assert "127.0.0.1 port 5900" in caught.value.message
    assert caught.value.last_seen is not None


def test_a_vm_that_ends_meanwhile_is_waited_for_no_longer() -> None:
    system = System(answers_at=0)
    with pytest.raises(VmError) as caught:
        wait(system, state="shutoff")
    assert (caught.value.code, len(system.asked)) == ("vm_ended", 1)


def test_running_is_enough_where_no_more_is_asked_for() -> None:
    system = System(answers_at=0)
    wait(system, wait_for="running")
    assert system.asked == []
