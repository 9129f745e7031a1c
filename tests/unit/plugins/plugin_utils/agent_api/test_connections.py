# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.zstack.kvm.plugins.plugin_utils.agent_api.connections import (
    Admission,
    ClientConnection,
    Limits,
    network_of,
)


class Client(ClientConnection):
    """A connection that knows whether it was closed."""

    def __init__(self, network: str = "a", complete: bool = False) -> None:
        super().__init__(network)
        self.complete = complete
        self.closed = False
        self.close = self.hang_up

    def hang_up(self) -> None:
        self.closed = True


def admitted(admission: Admission, *clients: Client) -> list[bool]:
    return [admission.admit(client) for client in clients]


def test_the_one_that_waits_for_longest_makes_room() -> None:
    admission, first, second, third = Admission(Limits(2, 2, 15)), Client(), Client("b"), Client("c")
    assert admitted(admission, first, second, third) == [True, True, True]
    assert [client.closed for client in (first, second, third)] == [True, False, False]


def test_what_is_being_answered_makes_no_room() -> None:
    admission, busy, idle = Admission(Limits(2, 2, 15)), Client(complete=True), Client("b")
    assert admitted(admission, busy, idle, Client("c", complete=True), Client("d")) == [True, True, True, False]
    assert (busy.closed, idle.closed) == (False, True)


def test_one_network_makes_room_for_itself() -> None:
    admission, other, first, second = Admission(Limits(3, 1, 15)), Client("b"), Client("a"), Client("a")
    assert admitted(admission, other, first, second) == [True, True, True]
    assert (other.closed, first.closed) == (False, True)
    assert not admission.admit(Client("b", complete=True)) or other.closed


def test_one_that_was_answered_counts_as_new() -> None:
    admission, first, second = Admission(Limits(2, 2, 15)), Client(), Client("b")
    admitted(admission, first, second)
    admission.renew(first)
    assert admission.admit(Client("c"))
    assert (first.closed, second.closed) == (False, True)


def test_one_that_is_gone_leaves_room_and_nothing_else() -> None:
    admission, first, second = Admission(Limits(1, 1, 15)), Client(), Client()
    admission.admit(first)
    admission.remove(first)
    admission.remove(first)
    admission.renew(first)
    assert admission.admit(second)
    assert not first.closed


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_network_is_what_one_machine_can_fill(address: str, network: str) -> None:
    assert network_of(address) == network
