# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness of a running VM: the wait covers what wait_for names, and ends as soon as possible.

The console is simulated: that of a real QEMU always listens.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions.context import ActionContext
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmFailed
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt import guest_addresses
from ansible_collections.zstack.kvm.plugins.module_utils._start import readiness
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, FakeSystem

CONSOLE = {"type": "vnc", "host": "0.0.0.0", "port": 5900}


class System(FakeSystem):
    """A console that answers the attempt with that number, and records the calls."""

    def __init__(self, answers_at: int) -> None:
        super().__init__()
        self._answers_at = answers_at
        self.probed: list[tuple[str, int]] = []

    def answers(self, address: str, port: int) -> bool:
        self.probed.append((address, port))
        return len(self.probed) == self._answers_at


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "CONSOLE_SECONDS", 0.3)


def wait(system: System, wait_for: str = "console", state: str = "running") -> None:
    vm: Any = SimpleNamespace(uuid=UUID, domain_name="web", wait_for=wait_for, create_paused=False)
    hypervisor: Any = FakeHypervisor({UUID: FakeDomain(state)})
    unused: Any = None
    context = ActionContext(hypervisor, system, vm, unused, threading.Event())
    context.done.append("start")
    readiness.wait_until_ready(context, CONSOLE)


def test_a_console_is_waited_for_until_it_listens() -> None:
    system = System(answers_at=2)
    wait(system)
    assert system.probed == [("127.0.0.1", 5900)] * 2


def test_a_console_timeout_says_what_was_found() -> None:
    with pytest.raises(VmFailed) as caught:
        wait(System(answers_at=0))
    assert (caught.value.failure.error.code, caught.value.failure.phase) == ("console_timeout", "wait_for_console")
    assert "127.0.0.1 port 5900" in caught.value.failure.error.message
    assert caught.value.failure.diagnostics is not None


def test_a_vm_that_ends_meanwhile_is_waited_for_no_longer() -> None:
    system = System(answers_at=0)
    with pytest.raises(VmFailed) as caught:
        wait(system, state="shutoff")
    assert (caught.value.failure.error.code, len(system.probed)) == ("vm_ended", 1)


def test_running_is_enough_by_default() -> None:
    system = System(answers_at=0)
    wait(system, wait_for="running")
    assert system.probed == []


MAC = "fa:00:00:00:00:01"
LIVE = """<domain><devices><interface type='bridge'><mac address='%s'/><target dev='vnet0'/></interface>
    <channel type='unix'><target name='org.qemu.guest_agent.0' state='%s'/></channel></devices></domain>"""


class AddressedHypervisor(FakeHypervisor):
    """A VM whose addresses, by source, are those of the first answer at the first query, and so on."""

    def __init__(self, *answers: dict[str, str], agent: str = "connected", state: str = "running") -> None:
        super().__init__({UUID: FakeDomain(state)})
        self._answers = list(answers)
        self._now: dict[str, str] = {}
        self._agent = agent

    def xml(self, uuid: str, inactive: bool) -> str:
        self._now = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return LIVE % (MAC, self._agent)

    def interface_addresses(self, uuid: str, source: str) -> dict[str, Any]:
        if source not in self._now:
            return {}
        return {"eth0": {"hwaddr": MAC, "addrs": [{"addr": self._now[source], "prefix": 24}]}}


def wait_for_address(hypervisor: AddressedHypervisor, monkeypatch: pytest.MonkeyPatch, answers: bool = True) -> Any:
    """Wait for an address, for an instant; C(answers): whether the guest answers at its leases."""
    monkeypatch.setattr(readiness, "_ADDRESS_PAUSE", 0.01)
    monkeypatch.setattr(guest_addresses, "is_neighbour", lambda system, address, mac: answers)
    vm: Any = SimpleNamespace(uuid=UUID, domain_name="web", wait_for="address", timeout=0.3, create_paused=False)
    unused: Any = None
    context = ActionContext(hypervisor, System(0), vm, unused, threading.Event())
    context.done.append("start")
    return readiness.wait_until_ready(context, CONSOLE)


def test_an_address_is_waited_for_until_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = wait_for_address(AddressedHypervisor({}, {"agent": "fe80::1"}, {"agent": "10.0.0.5"}), monkeypatch)
    assert found == [{"address": "10.0.0.5", "prefix": 24, "mac": MAC, "interface": "eth0", "source": "agent"}]


def test_an_address_timeout_has_the_last_addresses_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VmFailed) as caught:
        wait_for_address(AddressedHypervisor({}, {"agent": "fe80::1", "lease": "10.0.0.7"}), monkeypatch, False)
    assert (caught.value.failure.error.code, caught.value.failure.phase) == ("address_timeout", "wait_for_address")
    assert caught.value.failure.error.message == (
        "the VM is running (booted), but no NIC has had an address that can be used from elsewhere (last seen: "
        f"10.0.0.7 of {MAC} from lease, which does not answer, fe80::1 of {MAC} from agent, which is link-local) for 0 "
        "seconds"
    )


def test_an_address_is_none_where_the_agent_is_not_there_either(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VmFailed, match="no address was seen; its guest agent is not connected"):
        wait_for_address(AddressedHypervisor({}, agent="disconnected"), monkeypatch)


def test_a_lease_counts_where_the_guest_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = wait_for_address(AddressedHypervisor({"lease": "10.0.0.7"}, agent="disconnected"), monkeypatch)
    assert (found["address"], found["source"]) == ("10.0.0.7", "lease")


def test_a_vm_that_ends_has_no_address_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VmFailed) as caught:
        wait_for_address(AddressedHypervisor({}, state="shutoff"), monkeypatch)
    assert caught.value.failure.error.code == "vm_ended"
