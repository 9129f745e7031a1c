# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the bridges that the role networks creates, whatever manages the network of the host."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.zstack.kvm.tests.support.managed_host import ADDRESS, ManagedHost

PROGRAM = Path(__file__).resolve().parents[2] / "roles/networks/files/bridges"
MOVED = {"uplink": "eth0", "move_addresses": True}


def apply(host: ManagedHost, *bridges: dict[str, Any], seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """Run what the role runs; C(seconds): how long it waits for the bridges. After an undo it does not wait."""
    script = f"import runpy, sys; sys.path.insert(0, {str(PROGRAM)!r}); import work; work.SECONDS = {seconds}; "
    script += "work._OWN_RESTORE_SECONDS = 0; "
    script += f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    return host.run(sys.executable, "-B", "-c", script, "apply", json.dumps(bridges), check=False)


def assert_refusals_name_the_path(host: ManagedHost) -> None:
    """Request bridges that would cut a connection or whose name is taken, and assert that nothing is changed."""
    before = host.files()
    host.run("ip", "link", "add", "br_taken", "type", "veth")
    errors = apply(host, {"uplink": "eth0"}, {"name": "br_taken"}).stderr
    assert f"networks_bridges[0].uplink: eth0 has the addresses {ADDRESS}/24, by which Ansible" in errors
    assert "networks_bridges[1].name: the hypervisor has another device br_taken, of the kind veth" in errors
    assert (host.files(), host.addresses("eth0")) == (before, [f"{ADDRESS}/24"])


def assert_undone_without_all_addresses(host: ManagedHost) -> None:
    """Assert that a move is undone when an address of the uplink was added by hand and is in no configuration file."""
    before = host.files()
    host.run("ip", "address", "add", "10.78.0.1/24", "dev", "eth0")
    run = apply(host, MOVED, {"name": "inner"}, seconds=1)
    assert run.returncode == 1
    assert "has not created br_eth0 with its port and addresses within 1 seconds. It has been undone." in run.stderr
    assert host.files() == before
    assert set(host.addresses("eth0")) == {f"{ADDRESS}/24", "10.78.0.1/24"}
    devices = host.run("ip", "-brief", "link").stdout
    assert "br_eth0" not in devices
    assert "inner" not in devices
