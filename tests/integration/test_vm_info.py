# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""zstack_vm_info reports the same about VMs as virsh and the hypervisor."""

from __future__ import annotations

import base64
import os
import signal
import struct
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import Pictures, vm_information
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Hypervisor
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import media
from ansible_collections.zstack.kvm.tests.support.in_process import hypervisor, start
from ansible_collections.zstack.kvm.tests.support.playbook import run_task
from ansible_collections.zstack.kvm.tests.support.virsh import remove_domain, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

MODULE = "zstack.kvm.zstack_vm_info"
ADDRESS = "10.213.7.9"


@pytest.fixture(scope="module")
def vm() -> Iterator[dict[str, Any]]:
    """Yield a running VM, for all tests."""
    identity = str(uuid.uuid4())
    with image_directory() as images:
        path = media.write_qcow2(images / "disk.qcow2", f"I am {identity}")
        yield {
            "uuid": identity,
            "name": "reported",
            "internal_id": 42,
            "host_management_ip": "127.0.0.1",
            "memory": "32MiB",
            "cpu_num": 1,
            "domain_type": "qemu",
            "root_volume": {"install_path": str(path)},
            "nics": [{"bridge_name": "br_eth0"}],
            "console_password": "n3v3rT0l",
        }
        remove_domain(identity)


def pid_of(domain_name: str) -> int:
    """Return the process ID of a running VM's QEMU."""
    return int(Path(f"/run/libvirt/qemu/{domain_name}.pid").read_text())


@pytest.fixture(scope="module")
def information(vm: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a task reports about the running VM and about one that doesn't exist."""
    assert not start(vm).failed
    mac = virsh("domiflist", vm["uuid"]).split()[-1]
    subprocess.run(
        ["ip", "neighbour", "replace", ADDRESS, "lladdr", mac, "nud", "reachable", "dev", "br_eth0"], check=True
    )
    pictures = tmp_path_factory.mktemp("pictures") / "new"
    arguments = {"uuids": [str(uuid.UUID(int=1))], "vms": [vm], "screenshot_directory": str(pictures)}
    arguments.update(thumbnail_width=200)
    run = run_task(MODULE, arguments, verbosity=3)
    subprocess.run(["ip", "neighbour", "del", ADDRESS, "dev", "br_eth0"], check=True)
    assert not run.failed, run.output
    assert "n3v3rT0l" not in run.output
    assert run.result["changed"] is False
    return run.result


@pytest.fixture(scope="module")
def entry(information: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of the running VM."""
    return information["vms"][1]


def test_a_vm_that_does_not_exist_is_absent(information: dict[str, Any]) -> None:
    assert (information["vms"][0]["uuid"], information["vms"][0]["state"]) == (str(uuid.UUID(int=1)), "absent")


def test_names_state_size_and_metadata(vm: dict[str, Any], entry: dict[str, Any]) -> None:
    assert (entry["uuid"], entry["name"]) == (vm["uuid"], vm["name"])
    assert entry["domain_name"] == vm["uuid"].replace("-", "")
    assert (entry["state"], entry["reason"]) == ("running", "booted")
    assert (entry["memory"], entry["cpus"]) == (32 * 1024**2, 1)
    assert entry["metadata"] == {"internal_id": 42, "host_management_ip": "127.0.0.1"}


def test_the_console_is_where_virsh_says(vm: dict[str, Any], entry: dict[str, Any]) -> None:
    port = int(virsh("vncdisplay", vm["uuid"]).rpartition(":")[2]) + 5900
    assert (entry["console"]["type"], entry["console"]["port"]) == ("vnc", port)


def test_the_disk_has_its_size_and_the_empty_drive_none(vm: dict[str, Any], entry: dict[str, Any]) -> None:
    disk = entry["disks"][0]
    assert (disk["source"], disk["format"], disk["device"]) == (vm["root_volume"]["install_path"], "qcow2", "disk")
    sizes = dict(line.split(":") for line in virsh("domblkinfo", vm["uuid"], disk["target"]).splitlines())
    assert (disk["size"], disk["allocated"]) == (int(sizes["Capacity"]), int(sizes["Allocation"]))
    drive = next(each for each in entry["disks"] if each["device"] == "cdrom")
    assert (drive["source"], drive["size"]) == (None, None)


def test_the_nic_has_its_device_and_the_address_that_arp_knows(vm: dict[str, Any], entry: dict[str, Any]) -> None:
    (nic,) = entry["nics"]
    device, kind, bridge, model, mac = virsh("domiflist", vm["uuid"]).split()
    named = {"mac": mac, "type": kind, "bridge": bridge, "network": None, "model": model, "device": device}
    assert nic == {**named, "connected": True}
    assert [(each["address"], each["mac"], each["source"]) for each in entry["addresses"]] == [(ADDRESS, mac, "arp")]


def test_the_uptime_is_that_of_its_qemu(vm: dict[str, Any], entry: dict[str, Any]) -> None:
    def elapsed() -> int:
        command = ["ps", "-o", "etimes=", "-p", str(pid_of(entry["domain_name"]))]
        return int(subprocess.check_output(command, text=True))

    wait_until(lambda: elapsed() >= 2)
    before = elapsed()
    (found,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]])
    # The two round differently.
    assert before - 1 <= found["uptime"] <= elapsed() + 1


def test_the_picture_is_a_png_that_only_its_owner_reads(vm: dict[str, Any], entry: dict[str, Any]) -> None:
    picture = Path(entry["screenshot"])
    assert picture.name == f"{vm['uuid']}.png"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.stat().st_mode & 0o777 == 0o600


def test_the_thumbnail_is_the_same_picture_made_small(entry: dict[str, Any]) -> None:
    picture, small = Path(entry["screenshot"]).read_bytes(), base64.b64decode(entry["thumbnail"])
    (width, height), (small_width, small_height) = (struct.unpack_from(">II", each, 16) for each in (picture, small))
    assert 100 < small_width <= 200 and small.startswith(b"\x89PNG")
    assert abs(width / small_width - height / small_height) < 0.1


def test_it_is_in_sync_and_needs_no_restart(entry: dict[str, Any]) -> None:
    assert (entry["in_sync"], entry["differences"], entry["restart_required"]) == (True, [], False)
    assert (entry["error"], entry["warnings"]) == (None, [])


def waits_for_qemu(monkeypatch: pytest.MonkeyPatch, uuid: str) -> list[str]:
    """Return the messages about each wait for a hanging QEMU; here, a wait takes a tenth of a second."""
    waits, connected = [], Hypervisor.connect("qemu:///system")
    call_qemu = connected._call_qemu

    def noted(_seconds: float, *call: Any) -> Any:
        try:
            return call_qemu(0.1, *call)
        except VmError as error:
            waits.append(error.message)
            raise

    monkeypatch.setattr(connected, "_call_qemu", noted)
    vm_information(connected, HostSystem(), [uuid], pictures=Pictures(None, 100))
    return waits


def test_a_qemu_that_hangs_is_waited_for_once_and_the_others_reported_completely(
    vm: dict[str, Any], entry: dict[str, Any], new_vm: NewVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_vm()
    assert not start(other).failed
    pid = pid_of(entry["domain_name"])
    os.kill(pid, signal.SIGSTOP)
    try:
        run = run_task(MODULE, {"vms": [vm, other], "thumbnail_width": 100})
        waits = waits_for_qemu(monkeypatch, vm["uuid"])
    finally:
        os.kill(pid, signal.SIGCONT)
    # Newer versions of libvirt, which still wait for the first task's call, do not even return the definition.
    assert waits in ([], ["cannot get the size of a disk: QEMU has not answered for 0.1 seconds"])
    assert not run.failed, run.output
    hung, whole = run.vms
    assert (hung["qemu_hangs"], hung["state"], hung["in_sync"], hung["thumbnail"]) == (True, "running", True, None)
    assert {disk["size"] for disk in hung["disks"]} == {None}
    (warning,) = hung["warnings"]
    assert "information about this VM is incomplete" in warning and "QEMU has not answered for 10 seconds" in warning
    assert (whole["qemu_hangs"], whole["in_sync"], whole["warnings"]) == (False, True, [])
    assert whole["disks"][0]["size"] and whole["thumbnail"]


def test_what_is_not_in_sync_or_waits_for_a_restart_is_reported(new_vm: NewVm) -> None:
    vm = new_vm()
    assert not start(vm).failed
    run = run_task(MODULE, {"vms": [{**vm, "cpu_num": 2}]})
    assert run.vm["in_sync"] is False
    assert "vcpu" in {difference["path"] for difference in run.vm["differences"]}
    start({**vm, "cpu_num": 2})
    (found,) = vm_information(hypervisor(), HostSystem(), [vm["uuid"]])
    assert (found["restart_required"], found["cpus"], found["screenshot"]) == (True, 1, None)


def test_without_a_choice_all_vms_are_reported_those_that_are_off_too(entry: dict[str, Any], new_vm: NewVm) -> None:
    off = new_vm()
    assert not start(off).failed
    virsh("destroy", off["uuid"])
    everything = run_task(MODULE, {}).vms
    assert {entry["uuid"], off["uuid"]} <= {each["uuid"] for each in everything}
    assert {each["uuid"] for each in everything} == set(virsh("list", "--all", "--uuid").split())
    (found,) = [each for each in everything if each["uuid"] == off["uuid"]]
    assert (found["state"], found["reason"], found["cpus"]) == ("shutoff", "destroyed", 1)
    assert (found["uptime"], found["console"], found["addresses"], found["restart_required"]) == (None, None, [], False)
    assert found["disks"][0]["size"] == entry["disks"][0]["size"]
