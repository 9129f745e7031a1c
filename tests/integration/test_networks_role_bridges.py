# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role networks: bridges that a real systemd-networkd creates, on a host in namespaces."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.support.managed_host import (
    ADDRESS,
    NETWORKD,
    Connection,
    ManagedHost,
    connected,
    managed_host,
)
from ansible_collections.zstack.kvm.tests.support.playbook import run_tasks
from ansible_collections.zstack.kvm.tests.support.role_bridges import (
    MOVED,
    PROGRAM,
    apply,
    assert_refusals_name_the_path,
    assert_undone_without_all_addresses,
)
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

BEFORE = {"10-eth0.network"}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ManagedHost]:
    """Yield a host whose uplink eth0 has an address."""
    with managed_host(tmp_path, NETWORKD) as host:
        yield host


def role(**variables: Any) -> dict[str, Any]:
    return {"ansible.builtin.include_role": {"name": "zstack.kvm.networks"}, "vars": variables}


@pytest.fixture
def connection(host: ManagedHost) -> Iterator[Connection]:
    """Yield a connection of the peer to the uplink's address."""
    with connected(host) as connection:
        yield connection


def test_a_bridge_takes_over_the_address_and_no_connection_is_cut(host: ManagedHost, connection: Connection) -> None:
    assert connection.echoed("before") == "before"
    bridges = [MOVED, {"name": "inner"}]
    results = run_tasks([role(networks_bridges=bridges)] * 2, prefix=host.prefix)
    done = [result["stdout_lines"] for result in results if "stdout_lines" in result]
    # The first run changes what is needed; the others find nothing to do.
    assert (done[0], done[2]) == (done[1], [])
    assert {"br_eth0: created", "inner: created"} <= set(done[0])
    assert len(done) == 3
    assert (host.addresses("br_eth0"), host.addresses("eth0")) == ([f"{ADDRESS}/24"], [])
    assert host.ports("br_eth0") == {"eth0"}
    assert connection.echoed("after") == "after"
    # The bridge has the address now: nothing is left to move.
    again = apply(host, {"uplink": "eth0"})
    assert (again.returncode, again.stdout) == (0, "")


def test_bridges_come_back_when_the_host_boots(host: ManagedHost) -> None:
    assert apply(host, MOVED, {"name": "inner"}).returncode == 0
    host.restart(without=["br_eth0", "inner"])
    wait_until(lambda: host.addresses("br_eth0") == [f"{ADDRESS}/24"], "the bridge exists again")
    assert host.ports("br_eth0") == {"eth0"}
    again = apply(host, MOVED, {"name": "inner"})
    assert (again.returncode, again.stdout) == (0, "")


def test_what_would_cut_a_connection_or_is_taken_is_refused_with_its_path(host: ManagedHost) -> None:
    assert host.files() == BEFORE
    assert_refusals_name_the_path(host)


def test_a_bridge_that_does_not_get_all_addresses_is_undone(host: ManagedHost) -> None:
    assert_undone_without_all_addresses(host)


@pytest.mark.parametrize("written", [1, 2, 3])
def test_the_next_run_completes_what_a_killed_one_has_begun(host: ManagedHost, written: int) -> None:
    """It writes the uplink's file last: until then a boot leaves the uplink as it is."""
    assert apply(host, MOVED).returncode == 0
    names = ["00-zstack-br_eth0.netdev", "00-zstack-br_eth0.network", "00-zstack-eth0.network"]
    host.run("rm", *(f"{NETWORKD.files}/{name}" for name in names[written:]), check=False)
    host.restart(without=["br_eth0"])
    device = "br_eth0" if written == len(names) else "eth0"
    wait_until(lambda: host.addresses(device) == [f"{ADDRESS}/24"], "the host has its address")
    assert apply(host, MOVED).returncode == 0
    assert (host.addresses("br_eth0"), host.ports("br_eth0")) == ([f"{ADDRESS}/24"], {"eth0"})


def test_a_host_that_neither_program_manages_is_refused() -> None:
    """The tests' own hypervisor has no daemon for its network."""
    arguments = ["check", json.dumps([{"name": "inner"}])]
    run = subprocess.run([sys.executable, "-B", str(PROGRAM), *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    message = "networks_bridges[0]: neither systemd-networkd nor NetworkManager manages the hypervisor's network"
    assert message in run.stderr
