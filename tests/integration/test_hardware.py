# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VM with nearly every option of a document, as seen by its guest, its QEMU and the host.

It is started once, by a task of a playbook; each test checks one thing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.support import forked_task, linux_guest, module_run, vnc
from ansible_collections.zstack.kvm.tests.support.playbook import TaskRun, agreed
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, remove_domain, state, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

MIB = 1 << 20
WWN = "0x500a0b8000123456"
PASSWORD = "pa55word"
LOCALTIME = Path("/etc/localtime")
EAST = Path("/usr/share/zoneinfo/Asia/Shanghai")

Machine = dict[str, Any]


def raw_disk(path: Path, mebibytes: int) -> str:
    """Return an empty disk, which is identified by its size."""
    with path.open("wb") as file:
        file.truncate(mebibytes * MIB)
    path.chmod(0o666)
    return str(path)


@pytest.fixture(scope="module")
def images() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="zstack-kvm-images-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def a_host_in_the_east() -> Iterator[None]:
    """Set the local time zone to one that is not UTC, and restore it."""
    before = LOCALTIME.readlink()
    LOCALTIME.unlink()
    LOCALTIME.symlink_to(EAST)
    yield
    LOCALTIME.unlink()
    LOCALTIME.symlink_to(before)


@pytest.fixture(scope="module")
def machine(images: Path, a_host_in_the_east: None) -> Iterator[Machine]:
    vm = {
        "uuid": "7e57ab1e-0000-4000-8000-000000000001",
        "name": "Maschine – 机器 <&>",
        "internal_id": 77,
        "memory": "256MiB",
        "cpu_num": 2,
        # As much as any other process: with the default, a VM starves on a busy machine.
        "cpu_speed": 1024,
        "use_numa": True,
        "domain_type": "qemu",
        "clock": "localtime",
        "console_password": PASSWORD,
        "channels": [{"socket_path": str(images / "agent.sock"), "target_name": "org.qemu.guest_agent.0"}],
        "wait_for": "guest_agent",
        "timeout": 120,
        "root_volume": {"install_path": str(linux_guest.boot_disk(images / "root.qcow2"))},
        "data_volumes": [
            {"install_path": raw_disk(images / "ide.raw", 5), "use_virtio": False},
            {
                "install_path": raw_disk(images / "virtio.raw", 6),
                "cache_mode": "writethrough",
                "qos": {"total_bandwidth": 3 * MIB, "total_iops": 250},
            },
            {
                "install_path": raw_disk(images / "shared.raw", 7),
                "use_virtio_scsi": True,
                "wwn": WWN,
                "shareable": True,
            },
        ],
        "nics": [
            {
                "bridge_name": "br_eth0",
                "mac": "fa:00:77:00:00:01",
                "ip": "10.0.77.5",
                "qos": {"inbound_bandwidth": 80 * MIB, "outbound_bandwidth": 40 * MIB},
            },
            {"bridge_name": "br_eth1", "mac": "fa:00:77:00:00:02"},
        ],
    }
    remove_domain(vm["uuid"])
    run = agreed(vm)
    assert not run.failed, run.output
    yield {**vm, "result": run.vm}
    remove_domain(vm["uuid"])


@pytest.fixture(scope="module")
def seen(machine: Machine) -> list[dict[str, Any]]:
    """Return what the guest sees."""
    return linux_guest.inventory(machine["uuid"])


def options_of(machine: Machine) -> dict[str, Any]:
    return {key: value for key, value in machine.items() if key != "result"}


@pytest.fixture(scope="module")
def again(machine: Machine) -> TaskRun:
    """Return the run after the one that started the VM."""
    return agreed(options_of(machine))


@pytest.fixture(scope="module")
def calls(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the libvirt calls of a run that changes nothing."""
    file = tmp_path_factory.mktemp("calls") / "calls"
    assert forked_task.start(options_of(machine), calls=file).actions == []
    return file.read_text().splitlines()


def of_kind(seen: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [entry for entry in seen if entry["kind"] == kind]


def printed(*command: str) -> str:
    """Return the output of a command."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_its_guest_agent_answers(machine: Machine) -> None:
    assert machine["result"]["state"] == "running"
    assert json.loads(virsh("qemu-agent-command", machine["uuid"], '{"execute": "guest-info"}'))["return"]["version"]


def test_the_next_run_changes_nothing(again: TaskRun) -> None:
    assert (again.result["changed"], again.actions, again.vm["differences"]) == (False, [], [])


def test_a_run_that_changes_nothing_and_waits_for_its_agent_calls_libvirt_five_times(calls: list[str]) -> None:
    once = ("open", "get the capabilities", "get the domain capabilities", "list the ")
    of_the_vm = [call for call in calls if not call.startswith(once)]
    assert of_the_vm.count("ping the guest agent") == 1
    assert len(of_the_vm) <= 5


class TestDisks:
    def test_the_root_volume_is_virtio(self, seen: list) -> None:
        assert [disk["bus"] for disk in of_kind(seen, "disk") if disk["bytes"] == 48 * MIB] == ["virtio"]

    def test_an_ide_volume_is_on_ide(self, seen: list) -> None:
        (disk,) = [disk for disk in of_kind(seen, "disk") if disk["bytes"] == 5 * MIB]

        assert (disk["model"], disk["pci"]) == ("QEMU HARDDISK", "0000:00:01.1")

    def test_the_empty_cd_drive_in_its_slot_gives_way(self, seen: list) -> None:
        assert [drive["scsi"].split(":", 1)[1] for drive in of_kind(seen, "cdrom")] == ["0:0:0", "0:1:0"]

    def test_a_scsi_volume_has_its_wwn_and_its_unit(self, seen: list) -> None:
        (disk,) = [disk for disk in of_kind(seen, "disk") if disk["bytes"] == 7 * MIB]

        assert disk["wwid"] == "naa." + WWN[2:]
        # host:channel:target:LUN, where the LUN is the volume's device_id
        assert disk["scsi"].split(":")[1:] == ["0", "0", "3"]

    def test_cache_mode_and_limits_reach_qemu(self, machine: Machine) -> None:
        (disk,) = [
            entry["inserted"]
            for entry in qmp(machine["uuid"], "query-block")
            if "virtio.raw" in json.dumps(entry.get("inserted", ""))
        ]

        assert disk["cache"]["writeback"] is False
        assert [disk[limit] for limit in ("bps", "iops_rd", "iops_wr")] == [3 * MIB, 250, 250]

    def test_a_shareable_volume_runs_in_two_vms(self, machine: Machine) -> None:
        shared = {**machine["data_volumes"][2], "device_id": 1}
        other = {
            "uuid": "7e57ab1e-0000-4000-8000-000000000002",
            "name": "other",
            "memory": "32MiB",
            "cpu_num": 1,
            "domain_type": "qemu",
            "root_volume": shared,
        }
        try:
            assert not module_run.agreed({**other, "root_volume": {**shared, "device_id": 0}}).failed
            assert (state(other["uuid"]), state(machine["uuid"])) == ("running", "running")
        finally:
            remove_domain(other["uuid"])


class TestNics:
    def test_the_guest_sees_them_in_order(self, seen: list) -> None:
        nics = sorted(of_kind(seen, "nic"), key=lambda nic: nic["pci"])

        assert [(nic["mac"], nic["driver"]) for nic in nics] == [
            ("fa:00:77:00:00:01", "virtio_net"),
            ("fa:00:77:00:00:02", "virtio_net"),
        ]

    def test_each_is_on_its_bridge(self, machine: Machine) -> None:
        bridges = [
            json.loads(printed("ip", "-json", "link", "show", name))[0]["master"] for name in ("vnic77.0", "vnic77.1")
        ]

        assert bridges == ["br_eth0", "br_eth1"]

    def test_one_with_an_address_may_use_no_other(self, machine: Machine) -> None:
        rules = printed("ebtables", "-t", "nat", "-L")

        assert "vnic77.0" in rules
        assert "10.0.77.5" in rules

    def test_one_without_is_not_filtered(self, machine: Machine) -> None:
        assert "vnic77.1" not in printed("ebtables", "-t", "nat", "-L")

    def test_what_comes_to_the_guest_is_limited(self, machine: Machine) -> None:
        # 80 Mibit/s are 10240 KiB/s, which libvirt passes to tc as kilobytes.
        assert "rate 81920Kbit" in printed("tc", "class", "show", "dev", "vnic77.0")

    def test_the_limit_of_what_it_sends_is_known_to_libvirt(self, machine: Machine) -> None:
        # On kernels without act_police it is not enforced: see tests/support/path/tc.
        nic = definition(machine["uuid"], inactive=False).find("devices/interface")

        assert nic.find("bandwidth/outbound").get("average") == "5120"


class TestConsole:
    def test_the_password_opens_it_and_no_other_does(self, machine: Machine) -> None:
        console = machine["result"]["console"]

        assert console["type"] == "vnc"
        assert vnc.accepts(console["host"], console["port"], PASSWORD)
        assert not vnc.accepts(console["host"], console["port"], "another")


class TestClock:
    def test_the_guests_clock_shows_local_time(self, seen: list) -> None:
        (system,) = of_kind(seen, "system")
        shown = datetime.fromisoformat(system["rtc"]).replace(tzinfo=timezone.utc)

        assert abs(shown - datetime.now(timezone.utc) - timedelta(hours=8)) < timedelta(minutes=10)


@pytest.mark.usefixtures("seen", "again", "calls")
class TestOnlineGrowth:
    """The guest keeps what it gets: what other tests examine of the VM as it was started is read before."""

    def test_128_cpus_are_possible_and_two_are_present(self, seen: list) -> None:
        (cpus,) = of_kind(seen, "cpus")

        assert (cpus["possible"], cpus["online"]) == ("0-127", 2)

    def test_cpus_are_added_while_it_runs(self, machine: Machine) -> None:
        virsh("setvcpus", machine["uuid"], "4", "--live")

        linux_guest.wait_until_seen(machine["uuid"], "cpus", online=4)

    def test_memory_is_added_while_it_runs(self, machine: Machine, seen: list, images: Path) -> None:
        (before,) = of_kind(seen, "memory")
        dimm = images / "dimm.xml"
        dimm.write_text('<memory model="dimm"><target><size unit="MiB">128</size><node>0</node></target></memory>')
        virsh("attach-device", machine["uuid"], str(dimm), "--live")

        def has_more() -> bool:
            return linux_guest.seen(machine["uuid"], "memory")[0]["kib"] >= before["kib"] + (120 << 10)

        wait_until(has_more, "the guest takes the memory", linux_guest.SEEN_SECONDS)
