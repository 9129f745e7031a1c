# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_drift live: changes of the running QEMU, verified with QEMU, the kernel and the guest.

Each VM is started, its document changed, and check mode must predict what the run then does. All but one test
run in this process, which is quicker than ansible-playbook.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional
from unittest import mock

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions import live as live_actions
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import vm_information
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest, media, playbook, vnc
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed, hypervisor, start
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

MIB = 1 << 20


def qmp(vm: dict[str, Any], command: str, **arguments: Any) -> Any:
    """Return the running QEMU's answer to a command."""
    request = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(virsh("qemu-monitor-command", vm["uuid"], request))["return"]


def live(vm: dict[str, Any], **changes: Any) -> TaskRun:
    """Run the changed document with on_drift live; assert that nothing is left to do and that QEMU still runs."""
    number = virsh("domid", vm["uuid"])
    run = agreed({**vm, **changes}, on_drift="live")
    assert virsh("domid", vm["uuid"]) == number
    return run


def is_in_sync(vm: dict[str, Any], **changes: Any) -> bool:
    """Return whether a further run finds nothing to do, neither now nor at the next boot."""
    run = start({**vm, **changes}, on_drift="live")
    return not run.result["changed"] and not run.vm["differences"] and not run.vm["restart_required"]


def address(vm: dict[str, Any], device: str, inactive: bool) -> dict[str, str]:
    """Return a device's address below C(devices) in the guest, or the one that it will have after the next boot."""
    found = definition(vm["uuid"], inactive=inactive).find(f"devices/{device}/address")
    assert found is not None
    return dict(found.attrib)


@pytest.fixture
def volume(images: Path) -> dict[str, Any]:
    """Return a data volume."""
    path = images / "data.raw"
    path.write_bytes(bytes(MIB))
    path.chmod(0o666)
    return {"install_path": str(path), "device_id": 1, "format": "raw"}


@pytest.fixture(scope="module")
def described() -> Iterator[dict[str, Any]]:
    """Yield a VM with a Linux that supports hot plug."""
    with image_directory() as directory:
        vm = {
            "uuid": str(uuid.uuid4()),
            "name": "guest",
            "memory": "256MiB",
            "cpu_num": 1,
            "cpu_speed": 1024,
            "use_numa": True,
            "domain_type": "qemu",
            "root_volume": {"install_path": str(linux_guest.boot_disk(directory / "guest.qcow2"))},
        }
        try:
            yield vm
        finally:
            remove_domain(vm["uuid"])


@pytest.fixture
def guest(described: dict[str, Any]) -> dict[str, Any]:
    """Return the booted VM, with the options of its document.

    It boots once for all tests, as that takes longest, and again after one that has forced it off.
    """
    if state(described["uuid"]) != "running":
        assert not start(described).failed
        linux_guest.wait_until_booted(described["uuid"])
    assert is_in_sync(described)
    return described


@pytest.fixture
def off_afterwards(guest: dict[str, Any]) -> Iterator[None]:
    """Force the VM off after a test that adds what the guest keeps; the next one that needs the VM boots it again."""
    yield
    virsh("destroy", guest["uuid"])


def throttle(vm: dict[str, Any], path: str) -> dict[str, int]:
    """Return QEMU's limits of the block device with this file."""
    (device,) = [each for each in qmp(vm, "query-block") if each.get("inserted", {}).get("file") == path]
    names = ("bps", "bps_rd", "bps_max", "iops", "iops_rd", "iops_wr")
    return {name: device["inserted"][name] for name in names if device["inserted"].get(name)}


def dies_meanwhile(change: Callable[..., None]) -> Callable[..., None]:
    """Return a method of C(Hypervisor) whose domain ends before the call."""

    def call(hypervisor: Hypervisor, identity: str, *arguments: Any) -> None:
        pid = Path("/run/libvirt/qemu/%s.pid" % identity.replace("-", ""))
        os.kill(int(pid.read_text(encoding="ascii")), signal.SIGKILL)
        wait_until(lambda: state(identity) == "shut off")
        change(hypervisor, identity, *arguments)

    return call


class TestVolumes:
    def test_get_other_limits(self, new_vm: NewVm, volume: dict[str, Any]) -> None:
        vm = new_vm(data_volumes=[{**volume, "qos": {"total_bandwidth": 10 * MIB, "total_iops": 100}}])
        start(vm)
        assert throttle(vm, volume["install_path"]) == {"bps": 10 * MIB, "iops_rd": 100, "iops_wr": 100}
        changes = {"data_volumes": [{**volume, "qos": {"total_bandwidth": 5 * MIB}}]}
        assert live(vm, **changes).actions == ["define", "set_volume_qos"]
        assert throttle(vm, volume["install_path"]) == {"bps": 5 * MIB}
        assert is_in_sync(vm, **changes)

    def test_lose_a_burst_that_somebody_gave_them(self, new_vm: NewVm, volume: dict[str, Any]) -> None:
        vm = new_vm(data_volumes=[{**volume, "qos": {"total_bandwidth": 5 * MIB}}])
        start(vm)
        virsh("blkdeviotune", vm["uuid"], "vdb", "--total-bytes-sec-max", str(50 * MIB),
              "--total-bytes-sec-max-length", "3", "--live")  # fmt: skip
        assert live(vm).actions == ["set_volume_qos"]
        assert throttle(vm, volume["install_path"]) == {"bps": 5 * MIB}
        assert is_in_sync(vm)

    @pytest.mark.parametrize(
        ("call", "volumes"), [("set_block_io_tune", [{"qos": {"total_bandwidth": 5 * MIB}}]), ("detach_device", [])]
    )
    def test_of_a_vm_that_ends_meanwhile_are_an_error(
        self, new_vm: NewVm, volume: dict[str, Any], call: str, volumes: list[dict[str, Any]]
    ) -> None:
        vm = new_vm(data_volumes=[volume])
        start(vm)
        changed = {**vm, "data_volumes": [{**volume, **each} for each in volumes]}
        with mock.patch.object(Hypervisor, call, dies_meanwhile(getattr(Hypervisor, call))):
            run = failed(changed, on_drift="live")
        assert run.error["code"] in ("qemu_failed", "vm_ended"), run.error
        assert (run.vm["state"], run.error["rollback"]) == ("shutoff", "done")
        assert len(definition(vm["uuid"]).findall("devices/disk[@device='disk']")) == 2

    def test_get_limits_and_lose_them(self, new_vm: NewVm, volume: dict[str, Any]) -> None:
        vm = new_vm(data_volumes=[volume])
        start(vm)
        limited = {"data_volumes": [{**volume, "qos": {"total_iops": 77}}]}
        live(vm, **limited)
        assert throttle(vm, volume["install_path"]) == {"iops_rd": 77, "iops_wr": 77}
        live(vm, data_volumes=[volume])
        assert throttle(vm, volume["install_path"]) == {}
        assert is_in_sync(vm, data_volumes=[volume])

    @pytest.mark.parametrize("bus", ["use_virtio", "use_virtio_scsi"])
    def test_come_and_go(self, guest: dict[str, Any], volume: dict[str, Any], bus: str) -> None:
        changes = {"data_volumes": [{**volume, bus: True}]}
        assert live(guest, **changes).actions == ["define", "attach_volume"]
        linux_guest.wait_until_seen(guest["uuid"], "disk", bytes=MIB)
        disk = "disk/source[@file='%s']/.." % volume["install_path"]
        assert address(guest, disk, inactive=False) == address(guest, disk, inactive=True)
        assert is_in_sync(guest, **changes)
        assert live(guest).actions == ["define", "detach_volume"]
        assert MIB not in [disk["bytes"] for disk in linux_guest.seen(guest["uuid"], "disk")]
        assert is_in_sync(guest)

    def test_that_the_guest_keeps_are_removed_at_the_next_boot(
        self, new_vm: NewVm, volume: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # This guest never releases the device, however long libvirt waits.
        monkeypatch.setattr(live_actions, "_UNPLUG_SECONDS", 2)
        vm = new_vm(data_volumes=[volume])
        start(vm)
        run = start({**vm, "data_volumes": []}, on_drift="live")
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)
        assert "has not released volume vdb" in run.vm["warnings"][0]
        assert definition(vm["uuid"], inactive=True).find("devices/disk/target[@dev='vdb']") is None

    def test_that_the_guest_keeps_are_replaced_at_the_next_boot(
        self, new_vm: NewVm, volume: dict[str, Any], images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live_actions, "_UNPLUG_SECONDS", 2)
        vm = new_vm(data_volumes=[volume])
        start(vm)
        other = media.write_raw(images / "other", "", size=MIB)
        for _run in range(2):
            run = start({**vm, "data_volumes": [{**volume, "install_path": str(other)}]}, on_drift="live")
            assert (run.failed, run.vm["restart_required"]) == (False, True), run.output
            warnings = "\n".join(run.vm["warnings"])
            assert "has not released volume vdb" in warnings and "while the one that it replaces is" in warnings
        assert definition(vm["uuid"], inactive=True).find("devices/disk/source[@file='%s']" % other) is not None

    def test_on_ide_come_at_the_next_boot(self, new_vm: NewVm, volume: dict[str, Any]) -> None:
        vm = new_vm()
        start(vm)
        run = live(vm, data_volumes=[{**volume, "use_virtio": False}])
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)

    def test_are_attached_without_a_boot_order_that_a_running_disk_has(
        self, new_vm: NewVm, volume: dict[str, Any]
    ) -> None:
        vm = new_vm()
        vm["root_volume"]["boot_order"] = 1
        start(vm)
        root = {**vm["root_volume"], "boot_order": 2}
        run = live(vm, root_volume=root, data_volumes=[{**volume, "boot_order": 1}])
        assert (run.actions, run.vm["restart_required"], run.vm["warnings"]) == (["define", "attach_volume"], True, [])
        assert definition(vm["uuid"], inactive=False).find("devices/disk/target[@dev='vdb']") is not None
        orders = [boot.get("order") for boot in definition(vm["uuid"], inactive=True).iterfind("devices/disk/boot")]
        assert orders == ["2", "1"]

    def test_that_hold_something_else_are_replaced(
        self, guest: dict[str, Any], volume: dict[str, Any], images: Path
    ) -> None:
        live(guest, data_volumes=[volume])
        other = images / "other.raw"
        other.write_bytes(bytes(3 * MIB))
        other.chmod(0o666)
        changes = {"data_volumes": [{**volume, "install_path": str(other)}]}
        assert live(guest, **changes).actions == ["define", "detach_volume", "attach_volume"]
        linux_guest.wait_until_seen(guest["uuid"], "disk", bytes=3 * MIB)
        assert is_in_sync(guest, **changes)
        live(guest)


class TestCd:
    def inserted(self, vm: dict[str, Any]) -> Optional[str]:
        (drive,) = [each for each in qmp(vm, "query-block") if each["qdev"] == "ide0-0-1"]
        return drive.get("inserted", {}).get("file")

    def test_is_changed_and_ejected(self, new_vm: NewVm, images: Path) -> None:
        first, second = (media.write_cd(images / name, name) for name in ("first.iso", "second.iso"))
        vm = new_vm(boot_iso=[{"path": str(first)}])
        start(vm)
        changes = {"boot_iso": [{"path": str(second)}]}
        assert live(vm, **changes).actions == ["define", "change_media"]
        assert self.inserted(vm) == str(second)
        assert is_in_sync(vm, **changes)
        assert live(vm, boot_iso=[]).actions == ["define", "change_media"]
        assert self.inserted(vm) is None
        assert is_in_sync(vm, boot_iso=[])
        live(vm)
        assert self.inserted(vm) == str(first)


class TestConsolePassword:
    def test_is_changed(self, new_vm: NewVm) -> None:
        vm = new_vm(console_password="first1")
        console = start(vm).vm["console"]
        assert vnc.accepts(console["host"], console["port"], "first1")
        run = playbook.agreed({**vm, "console_password": "second2"}, on_drift="live", verbosity=3)
        assert run.actions == ["define", "set_console_password"]
        assert vnc.accepts(console["host"], console["port"], "second2")
        assert not vnc.accepts(console["host"], console["port"], "first1")
        assert "first1" not in run.output and "second2" not in run.output
        assert is_in_sync(vm, console_password="second2")

    def test_for_the_next_boot_is_masked_in_the_diff(self, new_vm: NewVm) -> None:
        vm = new_vm(console_password="first1")
        start(vm)
        run = agreed({**vm, "console_password": "second2"})
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)
        assert "/@passwd: ******** (new)\n" in run.result["diff"][0]["after"]
        assert "first1" not in run.output and "second2" not in run.output

    def test_where_there_was_none_comes_at_the_next_boot(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        run = live(vm, console_password="second2")
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)
        assert not is_in_sync(vm, console_password="second2")


def mac_of(vm: dict[str, Any]) -> str:
    """Return a MAC that no other VM of the tests has."""
    return "fa:16:3e:" + ":".join(vm["uuid"][index : index + 2] for index in (0, 2, 4))


def nic_of(vm: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return a NIC of this VM."""
    return {"mac": mac_of(vm), "bridge_name": "br_eth0", "nic_internal_name": "v" + vm["uuid"][:8], **options}


def kernel(*command: str) -> str:
    """Return the output of a command about the hypervisor's network."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class TestNics:
    def test_get_other_limits(self, new_vm: NewVm) -> None:
        vm = new_vm()
        vm["nics"] = [nic_of(vm, qos={"inbound_bandwidth": 80 << 13})]
        start(vm)
        assert "rate 640Kbit" in kernel("tc", "class", "show", "dev", vm["nics"][0]["nic_internal_name"])
        changes = {"nics": [nic_of(vm, qos={"inbound_bandwidth": 40 << 13})]}
        assert live(vm, **changes).actions == ["define", "update_nic"]
        assert "rate 320Kbit" in kernel("tc", "class", "show", "dev", vm["nics"][0]["nic_internal_name"])
        assert is_in_sync(vm, **changes)
        live(vm, nics=[nic_of(vm)])
        assert "rate" not in kernel("tc", "class", "show", "dev", vm["nics"][0]["nic_internal_name"])
        assert is_in_sync(vm, nics=[nic_of(vm)])

    def test_get_another_address_in_their_filter(self, new_vm: NewVm) -> None:
        vm = new_vm()
        vm["nics"] = [nic_of(vm, ip="192.0.2.1")]
        start(vm)
        changes = {"nics": [nic_of(vm, ip="192.0.2.99")]}
        assert live(vm, **changes).actions == ["define", "update_nic"]
        rules = kernel("ebtables", "-t", "nat", "-L")
        assert "192.0.2.99" in rules and "192.0.2.1 " not in rules
        assert is_in_sync(vm, **changes)
        live(vm, nics=[nic_of(vm)])
        assert "192.0.2.99" not in kernel("ebtables", "-t", "nat", "-L")

    def test_that_the_guest_keeps_stay_beside_those_that_replace_them(
        self, new_vm: NewVm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live_actions, "_UNPLUG_SECONDS", 2)
        vm = new_vm()
        vm["nics"] = [nic_of(vm, mac="fa:00:00:00:aa:01")]
        assert not start(vm).failed
        run = start({**vm, "nics": [nic_of(vm, mac="fa:00:00:00:aa:02", nic_internal_name="vnew")]}, on_drift="live")
        assert (run.failed, run.vm["restart_required"]) == (False, True), run.output
        assert "has not released nic fa:00:00:00:aa:01" in "\n".join(run.vm["warnings"])
        macs = [mac.get("address") for mac in definition(vm["uuid"], inactive=False).iterfind("devices/interface/mac")]
        assert macs == ["fa:00:00:00:aa:01", "fa:00:00:00:aa:02"]

    def test_go_to_another_bridge(self, new_vm: NewVm) -> None:
        vm = new_vm()
        vm["nics"] = [nic_of(vm)]
        start(vm)
        changes = {"nics": [nic_of(vm, bridge_name="br_eth1")]}
        assert live(vm, **changes).actions == ["define", "update_nic"]
        assert "master br_eth1" in kernel("ip", "link", "show", vm["nics"][0]["nic_internal_name"])
        assert is_in_sync(vm, **changes)

    def test_whose_link_was_set_down_outside_of_ansible_get_it_back(self, new_vm: NewVm) -> None:
        vm = new_vm()
        vm["nics"] = [nic_of(vm)]
        start(vm)
        virsh("domif-setlink", vm["uuid"], mac_of(vm), "down")
        run = live(vm)
        assert run.actions == ["update_nic"]
        assert [each["path"] for each in run.vm["differences"]] == [f"devices/interface[mac={mac_of(vm)}]/link"]
        assert virsh("domif-getlink", vm["uuid"], mac_of(vm)).endswith("up")
        assert is_in_sync(vm)

    def test_come_and_go(self, guest: dict[str, Any]) -> None:
        changes = {"nics": [nic_of(guest)]}
        assert live(guest, **changes).actions == ["define", "attach_nic"]
        linux_guest.wait_until_seen(guest["uuid"], "nic", mac=mac_of(guest))
        assert address(guest, "interface", inactive=False) == address(guest, "interface", inactive=True)
        assert is_in_sync(guest, **changes)
        assert live(guest).actions == ["define", "detach_nic"]
        assert linux_guest.seen(guest["uuid"], "nic") == []
        assert is_in_sync(guest)

    def test_without_a_name_are_plugged_in_beside_one_of_an_operator(self, new_vm: NewVm) -> None:
        vm = new_vm()
        first, second = (
            {"mac": start_of_mac + mac_of(vm)[2:], "bridge_name": "br_eth0"} for start_of_mac in ("fa", "fe")
        )
        start({**vm, "nics": [first]})
        virsh("attach-interface", vm["uuid"], "bridge", "br_eth1")
        (entry,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]])
        assert (entry["state"], entry["warnings"], entry["restart_required"]) == ("running", [], True)
        assert len(entry["nics"]) == 2

        predicted = start({**vm, "nics": [first, second]}, check=True, on_drift="live")
        assert predicted.actions == ["define", "detach_nic", "attach_nic"]
        # This guest never releases a NIC.
        virsh("destroy", vm["uuid"])
        start({**vm, "nics": [first]})
        assert agreed({**vm, "nics": [first, second]}, on_drift="live").actions == ["define", "attach_nic"]
        running = definition(vm["uuid"], inactive=False)
        assert second["mac"] in {mac.get("address") for mac in running.iterfind("devices/interface/mac")}


class TestGrowth:
    def test_the_other_way_waits_for_the_next_boot(self, new_vm: NewVm) -> None:
        vm = new_vm(use_numa=True, cpu_num=2, memory="256MiB")
        start(vm)
        run = live(vm, cpu_num=1, memory="128MiB", cpu_speed=2048)
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)

    def test_beyond_what_the_vm_was_started_for_waits_for_the_next_boot(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        run = live(vm, memory="160MiB")
        assert (run.actions, run.vm["restart_required"]) == (["define"], True)


class TestSmallThings:
    def test_the_period_of_the_balloon(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        virsh("dommemstat", vm["uuid"], "--period", "3", "--live")
        assert live(vm).actions == ["set_balloon_period"]
        balloon = "/machine/peripheral/balloon0"
        assert qmp(vm, "qom-get", path=balloon, property="guest-stats-polling-interval") == 10
        assert is_in_sync(vm)

    def test_the_share_of_cpu_time(self, new_vm: NewVm) -> None:
        vm = new_vm(cpu_speed=20)
        start(vm)
        before = virsh("schedinfo", vm["uuid"])
        assert live(vm, cpu_speed=40).actions == ["define", "set_cpu_shares"]
        assert virsh("schedinfo", vm["uuid"]) != before
        assert is_in_sync(vm, cpu_speed=40)

    def test_the_description(self, new_vm: NewVm) -> None:
        vm = new_vm()
        start(vm)
        assert live(vm, name="renamed").actions == ["define", "set_description"]
        assert definition(vm["uuid"], inactive=False).findtext("description") == "renamed"
        assert is_in_sync(vm, name="renamed")

    def test_what_the_guest_does_not_see_is_no_reason_to_restart(self, new_vm: NewVm) -> None:
        vm = new_vm(internal_id=7)
        start(vm)
        run = agreed({**vm, "name": "renamed", "internal_id": 8})
        assert (run.actions, run.vm["restart_required"]) == (["define"], False)


class TestWhatCannotBeDone:
    def test_now_takes_effect_at_the_next_boot(self, new_vm: NewVm, volume: dict[str, Any]) -> None:
        vm = new_vm()
        start(vm)
        changes = {"video_type": "vga", "data_volumes": [volume], "nics": [nic_of(vm)]}
        run = live(vm, **changes)
        assert (run.actions, run.vm["restart_required"]) == (["define", "attach_volume", "attach_nic"], True)
        virsh("destroy", vm["uuid"])
        start({**vm, **changes})
        assert definition(vm["uuid"], inactive=False).find("devices/video/model").get("type") == "vga"
        assert is_in_sync(vm, **changes)

    def test_because_it_is_wrong_undoes_what_was_done(self, new_vm: NewVm, volume: dict[str, Any]) -> None:
        holder = new_vm(data_volumes=[volume])
        start(holder)
        vm = new_vm()
        start(vm)
        before = definition(vm["uuid"])
        changes = {"name": "renamed", "data_volumes": [volume]}
        run = failed({**vm, **changes}, on_drift="live")
        assert (run.error["code"], run.error["rollback"]) == ("image_locked", "done")
        assert definition(vm["uuid"]).findtext("description") == before.findtext("description")
        assert definition(vm["uuid"], inactive=False).findtext("description") == before.findtext("description")


class TestGrowthOfTheGuest:
    """Comes last, so that the guest boots only once."""

    @pytest.mark.usefixtures("off_afterwards")
    def test_in_cpus_and_memory_is_seen_by_it(self, guest: dict[str, Any]) -> None:
        (before,) = linux_guest.seen(guest["uuid"], "memory")
        changes = {"cpu_num": 2, "memory": "512MiB"}
        assert live(guest, **changes).actions == ["define", "set_cpu_shares", "set_vcpus", "attach_memory"]
        linux_guest.wait_until_seen(guest["uuid"], "cpus", online=2)
        linux_guest.wait_until_seen(guest["uuid"], "memory", kib=before["kib"] + 256 * 1024)
        assert is_in_sync(guest, **changes)
