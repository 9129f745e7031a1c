# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs on bridges of a real Open vSwitch, with its datapath in user space."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed, hypervisor, start
from ansible_collections.zstack.kvm.tests.support.servers.openvswitch import OpenVSwitch
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until
from lxml import etree

BRIDGE, OTHER_BRIDGE = "ovsbr0", "ovsbr1"
MAC = "fa:16:3e:0c:0c:01"
NIC = f"devices/interface[mac={MAC}]"
INTERFACE_ID = "6ac35725-8ecd-440b-9c62-5850314b8278"


@pytest.fixture(scope="module")
def switch() -> Iterator[OpenVSwitch]:
    with OpenVSwitch() as switch:
        switch.add_bridge(BRIDGE)
        switch.add_bridge(OTHER_BRIDGE)
        yield switch


def nic(**options: Any) -> dict[str, Any]:
    return {"mac": MAC, "bridge_name": BRIDGE, "bridge_type": "openvswitch", "nic_internal_name": "ovst0", **options}


@pytest.fixture
def vm(new_vm: NewVm, switch: OpenVSwitch) -> dict[str, Any]:
    """Return a running VM in VLAN 100."""
    vm = new_vm(nics=[nic(vlan_id=100, interface_id=INTERFACE_ID)])
    assert not start(vm).failed
    return vm


def port(switch: OpenVSwitch) -> tuple[str, str, str]:
    """Return the bridge, the tag and the ID of the NIC, as Open vSwitch has them."""
    identity = switch.vsctl("get", "Interface", "ovst0", "external_ids:iface-id").strip('"')
    return switch.vsctl("port-to-br", "ovst0"), switch.vsctl("get", "Port", "ovst0", "tag"), identity


def is_in_sync(vm: dict[str, Any]) -> bool:
    run = start(vm, on_drift="live")
    return not run.vm["changed"] and not run.vm["differences"] and not run.vm["restart_required"]


class TestStart:
    def test_plugs_the_nic_into_its_bridge_and_vlan(self, vm: dict[str, Any], switch: OpenVSwitch) -> None:
        assert port(switch) == (BRIDGE, "100", INTERFACE_ID)
        assert is_in_sync(vm)

    def test_leaves_the_id_to_libvirt_and_keeps_it(self, new_vm: NewVm, switch: OpenVSwitch) -> None:
        vm = new_vm(nics=[nic()])
        assert not start(vm).failed
        bridge, tag, identity = port(switch)
        assert (bridge, tag, str(uuid.UUID(identity))) == (BRIDGE, "[]", identity)
        assert is_in_sync(vm)
        assert start({**vm, "name": "another"}).actions == ["define"]
        (parameters,) = definition(vm["uuid"]).iterfind("devices/interface/virtualport/parameters")
        assert parameters.get("interfaceid") == identity

    def test_says_which_bridge_is_of_another_kind(self, new_vm: NewVm, switch: OpenVSwitch) -> None:
        vm = new_vm(nics=[nic(bridge_name="ovsbr9"), nic(bridge_name="br_eth0", mac="", nic_internal_name="")])
        vm["nics"].append({"bridge_name": BRIDGE})
        run = failed(vm)
        assert run.error["code"] == "bridge_missing"
        assert run.error["message"] == (
            "vms[0].nics[0].bridge_name: Open vSwitch has no bridge ovsbr9; "
            "vms[0].nics[1].bridge_name: br_eth0 is a bridge of the kernel, not of Open vSwitch; "
            f"vms[0].nics[2].bridge_name: the hypervisor has no bridge {BRIDGE}"
        )
        assert f"{BRIDGE} is a bridge of Open vSwitch: set bridge_type to openvswitch" in run.error["hint"]

    def test_says_that_open_vswitch_is_down(self, new_vm: NewVm, switch: OpenVSwitch) -> None:
        vm = new_vm(nics=[nic()])
        switch.stop()
        try:
            run = failed(vm)
        finally:
            switch.start()
        assert (run.error["code"], run.error["phase"]) == ("openvswitch_failed", "preflight")


class TestDrift:
    @pytest.mark.parametrize(("vlan", "tag"), [(200, "200"), (None, "[]")])
    def test_another_vlan_is_set_while_the_vm_runs(
        self, vm: dict[str, Any], switch: OpenVSwitch, vlan: int, tag: str
    ) -> None:
        vm["nics"] = [nic(vlan_id=vlan, interface_id=INTERFACE_ID)]
        assert agreed(vm, on_drift="live").actions == ["define", "update_nic"]
        assert port(switch) == (BRIDGE, tag, INTERFACE_ID)
        assert is_in_sync(vm)

    def test_a_tag_that_somebody_changed_is_set_back(self, vm: dict[str, Any], switch: OpenVSwitch) -> None:
        changed = definition(vm["uuid"], inactive=False).find("devices/interface")
        changed.find("vlan/tag").set("id", "666")
        virsh("update-device", vm["uuid"], "/dev/stdin", "--live", stdin=etree.tostring(changed, encoding="unicode"))
        run = agreed(vm, on_drift="live")
        assert run.vm["differences"] == [{"path": NIC + "/vlan/tag/@id", "before": "666", "after": "100"}]
        assert port(switch)[1] == "100"

    def test_a_virtual_port_that_somebody_removed_comes_back_with_the_next_boot(
        self, vm: dict[str, Any], switch: OpenVSwitch
    ) -> None:
        virsh("destroy", vm["uuid"])
        vm["nics"] = [{"mac": MAC, "bridge_name": "br_eth0", "nic_internal_name": "ovst0"}]
        assert not start(vm).failed
        vm["nics"] = [nic(bridge_name=OTHER_BRIDGE, vlan_id=100)]
        run = agreed(vm, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)
        assert NIC + "/virtualport" in [each["path"] for each in run.vm["differences"]]
        # The guest ignores requests to shut down.
        assert agreed({**vm, "timeout": 10}, on_drift="restart").actions == ["stop", "start"]
        assert port(switch)[:2] == (OTHER_BRIDGE, "100")

    def test_another_bridge_waits_for_the_next_boot(self, vm: dict[str, Any], switch: OpenVSwitch) -> None:
        vm["nics"][0]["bridge_name"] = OTHER_BRIDGE
        run = agreed(vm, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)
        assert port(switch)[0] == BRIDGE


class TestRecreatedBridge:
    def test_gets_its_nics_back_in_their_vlan(self, vm: dict[str, Any], switch: OpenVSwitch) -> None:
        switch.add_bridge(BRIDGE)
        (entry,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]])
        assert [each["connected"] for each in entry["nics"]] == [False]
        run = agreed(vm, on_drift="live")
        assert run.actions == ["reconnect_nic"]
        assert run.vm["differences"] == [{"path": NIC + "/source/@bridge", "before": None, "after": BRIDGE}]
        assert port(switch) == (BRIDGE, "100", INTERFACE_ID)
        assert is_in_sync(vm)


def reaches(guest: str, address: str) -> bool:
    """Return whether the guest gets an answer from an address."""
    return '"status":0' in linux_guest.execute(guest, f"ping -c 1 -W 1 {address} >/dev/null")


def test_frames_stay_in_the_vlan(switch: OpenVSwitch) -> None:
    """Open vSwitch passes a guest's frames in its VLAN only, even after the VLAN was changed."""
    switch.add_port(BRIDGE, "ovsin100", 100, "10.214.1.1/24")
    switch.add_port(BRIDGE, "ovsin200", 200, "10.214.2.1/24")
    vm: dict[str, Any] = {
        "uuid": str(uuid.uuid4()), "name": "tagged", "memory": "128MiB", "cpu_num": 1, "cpu_speed": 1024,
        "domain_type": "qemu", "nics": [nic(vlan_id=100)],
    }  # fmt: skip
    with image_directory() as images:
        vm["root_volume"] = {"install_path": str(linux_guest.boot_disk(images / "guest.qcow2"))}
        try:
            assert not start(vm).failed
            linux_guest.wait_until_booted(vm["uuid"])
            linux_guest.execute(
                vm["uuid"], "ip address add 10.214.1.9/24 dev eth0; ip address add 10.214.2.9/24 dev eth0"
            )
            wait_until(lambda: reaches(vm["uuid"], "10.214.1.1"))
            assert not reaches(vm["uuid"], "10.214.2.1")
            vm["nics"] = [nic(vlan_id=200)]
            assert not start(vm, on_drift="live").failed
            wait_until(lambda: reaches(vm["uuid"], "10.214.2.1"))
            assert not reaches(vm["uuid"], "10.214.1.1")
        finally:
            remove_domain(vm["uuid"])
