# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges that were recreated under a running VM, in the hypervisor's own network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any, Optional
from unittest import mock

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed, hypervisor, start
from ansible_collections.zstack.kvm.tests.support.virsh import virsh

MAC = "fa:16:3e:0b:0b:01"
PATH = f"devices/interface[mac={MAC}]/source/@bridge"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", "link", *arguments], check=True)


def master(device: str) -> Optional[str]:
    """Return the bridge of a device, according to the kernel."""
    path = f"/sys/class/net/{device}/master"
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None


@pytest.fixture
def bridge() -> Iterator[str]:
    """Yield a bridge for this test only."""
    name = f"brt{os.getpid()}"
    ip("add", name, "type", "bridge")
    yield name
    subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def recreate(bridge: str) -> None:
    ip("del", bridge)
    ip("add", bridge, "type", "bridge")


@pytest.fixture
def vm(new_vm: NewVm, bridge: str) -> dict[str, Any]:
    """Return a running VM whose bridge was recreated."""
    vm = new_vm()
    vm["nics"] = [{"mac": MAC, "bridge_name": bridge, "nic_internal_name": "v" + vm["uuid"][:8]}]
    assert not start(vm).failed
    assert master(device_of(vm)) == bridge
    recreate(bridge)
    return vm


def device_of(vm: dict[str, Any]) -> str:
    return str(vm["nics"][0]["nic_internal_name"])


def look(vm: dict[str, Any]) -> dict[str, Any]:
    (entry,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]])
    return entry


class TestRecreatedBridge:
    def test_is_drift_of_what_runs(self, vm: dict[str, Any], bridge: str) -> None:
        run = start(vm)
        assert run.vm["differences"] == [{"path": PATH, "before": None, "after": bridge}]
        assert (run.vm["changed"], run.vm["restart_required"]) == (False, True)
        assert master(device_of(vm)) is None

    def test_is_left_by_no_nic_after_a_live_run(self, vm: dict[str, Any], bridge: str) -> None:
        number = virsh("domid", vm["uuid"])
        assert agreed(vm, on_drift="live").actions == ["reconnect_nic"]
        assert (master(device_of(vm)), virsh("domid", vm["uuid"])) == (bridge, number)
        again = start(vm, on_drift="live")
        assert (again.vm["changed"], again.vm["differences"], again.vm["restart_required"]) == (False, [], False)

    def test_is_reported_by_the_information(self, vm: dict[str, Any], bridge: str) -> None:
        entry = look(vm)
        assert [nic["connected"] for nic in entry["nics"]] == [False]
        assert entry["warnings"] == [f"the NIC {device_of(vm)} is not in its bridge {bridge}, but in none"]
        assert entry["restart_required"]
        start(vm, on_drift="live")
        entry = look(vm)
        assert ([nic["connected"] for nic in entry["nics"]], entry["warnings"]) == ([True], [])
        assert not entry["restart_required"]

    def test_and_an_isolated_port_stay_isolated(self, new_vm: NewVm, bridge: str) -> None:
        patch = {"action": "add", "xpath": "/domain/devices/interface", "value": "<port isolated='yes'/>"}
        vm = new_vm(domain_patches=[patch])
        vm["nics"] = [{"mac": MAC, "bridge_name": bridge, "nic_internal_name": "v" + vm["uuid"][:8]}]
        assert not start(vm).failed
        recreate(bridge)
        assert agreed(vm, on_drift="live").actions == ["reconnect_nic"]
        with open(f"/sys/class/net/{device_of(vm)}/brport/isolated", encoding="ascii") as isolated:
            assert isolated.read() == "1\n"

    def test_that_is_still_missing_is_an_error_before_anything_is_changed(
        self, vm: dict[str, Any], bridge: str
    ) -> None:
        ip("del", bridge)
        run = failed({**vm, "name": "renamed"}, on_drift="live")
        assert (run.error["code"], run.error["phase"], run.actions) == ("bridge_missing", "preflight", [])

    def test_is_left_again_when_the_run_fails(self, vm: dict[str, Any]) -> None:
        vm["nics"][0]["qos"] = {"inbound_bandwidth": 80 << 13}
        refused = VmError("qos_limit", "refused")
        with mock.patch.object(Hypervisor, "update_device", side_effect=refused):
            run = start(vm, on_drift="live")
        assert (run.error["code"], run.error["rollback"]) == ("qos_limit", "done")
        assert master(device_of(vm)) is None


class TestNicThatSomebodyMoved:
    def test_comes_back_from_another_bridge(self, vm: dict[str, Any], bridge: str) -> None:
        ip("set", device_of(vm), "master", "br_eth1")
        run = agreed(vm, on_drift="live")
        assert run.vm["differences"] == [{"path": PATH, "before": "br_eth1", "after": bridge}]
        assert master(device_of(vm)) == bridge

    def test_goes_to_the_desired_bridge(self, vm: dict[str, Any]) -> None:
        vm["nics"][0]["bridge_name"] = "br_eth1"
        assert agreed(vm, on_drift="live").actions == ["define", "update_nic"]
        assert master(device_of(vm)) == "br_eth1"

    def test_waits_for_the_next_boot_where_its_device_is_gone(self, vm: dict[str, Any]) -> None:
        ip("del", device_of(vm))
        run = agreed(vm, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == ([], True)
        assert [each["path"] for each in run.vm["differences"]] == [PATH]
        assert "the device is gone" in look(vm)["warnings"][0]
