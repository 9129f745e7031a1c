# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs on libvirt networks: checked before the start, compared, moved while the VM runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed, hypervisor, start
from ansible_collections.zstack.kvm.tests.support.virsh import state, try_virsh, virsh

# The last one only names a bridge that exists.
ADDRESSED = "<network><name>{0}</name><bridge name='{0}'/><ip address='10.214.{1}.1' prefix='24'/></network>"
NAMES_A_BRIDGE = "<network><name>{0}</name><forward mode='bridge'/><bridge name='br_eth1'/></network>"
ONE, TWO, BRIDGED, STOPPED = "nn-one", "nn-two", "nn-bridged", "nn-stopped"


def create(name: str, template: str, number: int) -> None:
    virsh("net-create", "/dev/stdin", stdin=template.format(name, number))


@pytest.fixture(scope="module", autouse=True)
def networks() -> Iterator[None]:
    create(ONE, ADDRESSED, 1)
    create(TWO, ADDRESSED, 2)
    create(BRIDGED, NAMES_A_BRIDGE, 0)
    virsh("net-define", "/dev/stdin", stdin=ADDRESSED.format(STOPPED, 3))
    yield
    for name in (ONE, TWO, BRIDGED):
        try_virsh("net-destroy", name)
    try_virsh("net-undefine", STOPPED)


@pytest.fixture
def vm(new_vm: NewVm) -> dict[str, Any]:
    """Start a VM with a NIC on the first network."""
    vm = new_vm()
    vm["nics"] = [{"network_name": ONE, "nic_internal_name": "v" + vm["uuid"][:8]}]
    assert not start(vm).failed
    return vm


def master(vm: dict[str, Any]) -> Optional[str]:
    """Return the bridge of the NIC's device, according to the kernel."""
    path = f"/sys/class/net/{vm['nics'][0]['nic_internal_name']}/master"
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None


def moved(vm: dict[str, Any], **connection: str) -> dict[str, Any]:
    kept = {"nic_internal_name": vm["nics"][0]["nic_internal_name"]}
    return {**vm, "nics": [{**kept, **connection}]}


def test_a_missing_and_an_inactive_network_are_found_before_anything_is_changed(new_vm: NewVm) -> None:
    vm = new_vm(nics=[{"network_name": STOPPED}, {"network_name": "nn-nowhere"}])
    run = failed(vm)
    assert (run.error["code"], run.error["phase"], run.actions) == ("network_inactive", "preflight", [])
    for option, reason in (("nics[0]", "nn-stopped is not active"), ("nics[1]", "no libvirt network nn-nowhere")):
        assert option in run.error["message"] and reason in run.error["message"]
    assert state(vm["uuid"]) == "absent"


class TestRunning:
    def test_is_in_sync(self, vm: dict[str, Any]) -> None:
        assert master(vm) == ONE
        run = start(vm, on_drift="live")
        assert (run.vm["changed"], run.vm["differences"]) == (False, [])
        (entry,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]])
        assert (entry["nics"][0]["network"], entry["nics"][0]["connected"]) == (ONE, True)

    def test_moves_to_networks_and_bridges(self, vm: dict[str, Any]) -> None:
        identity = virsh("domid", vm["uuid"])
        for connection, bridge in (
            ({"network_name": TWO}, TWO),
            ({"bridge_name": "br_eth0"}, "br_eth0"),
            ({"network_name": BRIDGED}, "br_eth1"),
            ({"network_name": ONE}, ONE),
        ):
            run = agreed(moved(vm, **connection), on_drift="live")
            assert (run.actions, run.vm["restart_required"], master(vm)) == (["define", "update_nic"], False, bridge)
            assert not start(moved(vm, **connection), on_drift="live").vm["differences"]
        assert virsh("domid", vm["uuid"]) == identity

    def test_is_put_back_after_its_network_was_started_again(self, vm: dict[str, Any]) -> None:
        virsh("net-destroy", ONE)
        create(ONE, ADDRESSED, 1)
        # Newer versions of libvirt reconnect it themselves.
        subprocess.run(["ip", "link", "set", vm["nics"][0]["nic_internal_name"], "nomaster"], check=True)
        run = agreed(vm, on_drift="live")
        assert (run.actions, master(vm)) == (["reconnect_nic"], ONE)
        assert not start(vm, on_drift="live").vm["differences"]
