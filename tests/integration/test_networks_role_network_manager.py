# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role networks: bridges that a real NetworkManager creates, on a host in namespaces."""

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
    ManagedHost,
    connected,
    managed_host,
    network_manager,
)
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

# Its packages are downloaded, which a hypervisor of the laboratory cannot do.
pytestmark = [pytest.mark.outside, pytest.mark.timeout(300)]

PROGRAM = Path(__file__).resolve().parents[2] / "roles/networks/files/bridges"
MOVED = {"uplink": "eth0", "move_addresses": True}
BEFORE = {"uplink.nmconnection"}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ManagedHost]:
    """Yield a host whose uplink eth0 has an address."""
    with managed_host(tmp_path, network_manager()) as host:
        yield host


def program(host: ManagedHost, *bridges: dict[str, Any], seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """Run what the role runs; C(seconds): how long it waits for the bridges. After an undo it does not wait."""
    script = f"import runpy, sys; sys.path.insert(0, {str(PROGRAM)!r}); import work; work.SECONDS = {seconds}; "
    script += "work._OWN_RESTORE_SECONDS = 0; "
    script += f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    return host.run(sys.executable, "-B", "-c", script, "apply", json.dumps(bridges), check=False)


def test_a_bridge_takes_over_the_address_cuts_no_connection_and_comes_back_at_boot(host: ManagedHost) -> None:
    bridges = [MOVED, {"name": "inner"}]
    with connected(host) as connection:
        assert connection.echoed("before") == "before"
        first = program(host, *bridges)
        assert first.returncode == 0, first.stderr
        assert {"br_eth0: created", "inner: created"} <= set(first.stdout.splitlines())
        assert connection.echoed("after") == "after"
    assert (host.addresses("br_eth0"), host.addresses("eth0")) == ([f"{ADDRESS}/24"], [])
    again = program(host, *bridges)
    assert (again.returncode, again.stdout) == (0, "")

    host.restart(without=["br_eth0", "inner"])
    wait_until(lambda: host.addresses("br_eth0") == [f"{ADDRESS}/24"], "the bridge is there again")
    wait_until(lambda: host.ports("br_eth0") == {"eth0"}, "the bridge has its port again")


def test_what_would_cut_a_connection_or_is_taken_is_refused_with_its_path(host: ManagedHost) -> None:
    host.run("ip", "link", "add", "br_taken", "type", "veth")
    errors = program(host, {"uplink": "eth0"}, {"name": "br_taken"}).stderr
    assert f"networks_bridges[0].uplink: eth0 has the addresses {ADDRESS}/24, by which Ansible" in errors
    assert "networks_bridges[1].name: the hypervisor has another device br_taken, of the kind veth" in errors
    assert (host.files(), host.addresses("eth0")) == (BEFORE, [f"{ADDRESS}/24"])


def test_a_bridge_that_does_not_get_all_addresses_is_undone(host: ManagedHost) -> None:
    """An address by hand is in nobody's profile."""
    host.run("ip", "address", "add", "10.78.0.1/24", "dev", "eth0")
    run = program(host, MOVED, {"name": "inner"}, seconds=1)
    assert run.returncode == 1
    assert "has not created br_eth0 with its port and addresses within 1 seconds. It has been undone." in run.stderr
    assert host.files() == BEFORE
    assert set(host.addresses("eth0")) == {f"{ADDRESS}/24", "10.78.0.1/24"}
    devices = host.run("ip", "-brief", "link").stdout
    assert "br_eth0" not in devices
    assert "inner" not in devices
