# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role networks: bridges that a real NetworkManager creates, on a host in namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.zstack.kvm.tests.support.managed_host import (
    ADDRESS,
    ManagedHost,
    connected,
    managed_host,
    network_manager,
)
from ansible_collections.zstack.kvm.tests.support.role_bridges import (
    MOVED,
    apply,
    assert_refusals_name_the_path,
    assert_undone_without_all_addresses,
)
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# Its packages are downloaded, which a hypervisor of the laboratory cannot do.
pytestmark = [pytest.mark.outside, pytest.mark.timeout(300)]

BEFORE = {"uplink.nmconnection"}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ManagedHost]:
    """Yield a host whose uplink eth0 has an address."""
    with managed_host(tmp_path, network_manager()) as host:
        yield host


def test_a_bridge_takes_over_the_address_cuts_no_connection_and_comes_back_at_boot(host: ManagedHost) -> None:
    bridges = [MOVED, {"name": "inner"}]
    with connected(host) as connection:
        assert connection.echoed("before") == "before"
        first = apply(host, *bridges)
        assert first.returncode == 0, first.stderr
        assert {"br_eth0: created", "inner: created"} <= set(first.stdout.splitlines())
        assert connection.echoed("after") == "after"
    assert (host.addresses("br_eth0"), host.addresses("eth0")) == ([f"{ADDRESS}/24"], [])
    again = apply(host, *bridges)
    assert (again.returncode, again.stdout) == (0, "")

    host.restart(without=["br_eth0", "inner"])
    wait_until(lambda: host.addresses("br_eth0") == [f"{ADDRESS}/24"], "the bridge exists again")
    wait_until(lambda: host.ports("br_eth0") == {"eth0"}, "the bridge has its port again")


def test_what_would_cut_a_connection_or_is_taken_is_refused_with_its_path(host: ManagedHost) -> None:
    assert host.files() == BEFORE
    assert_refusals_name_the_path(host)


def test_a_bridge_that_does_not_get_all_addresses_is_undone(host: ManagedHost) -> None:
    assert_undone_without_all_addresses(host)
