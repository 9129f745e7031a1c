# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of disks and drives, seen from the guest and from QEMU; paused starts and memory snapshots."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import linux_guest, media
from ansible_collections.zstack.kvm.tests.support.in_process import agreed, failed, hypervisor, start
from ansible_collections.zstack.kvm.tests.support.serial_console import wait_for_text
from ansible_collections.zstack.kvm.tests.support.servers.process import free_port
from ansible_collections.zstack.kvm.tests.support.virsh import definition, qmp, remove_domain, state, try_virsh, virsh
from ansible_collections.zstack.kvm.tests.support.waiting import wait_until

MIB = 1 << 20
PASSPHRASE = "open sesame"
SHARED_MEMORY = {
    "action": "add",
    "xpath": "/domain",
    "value": '<memoryBacking><source type="memfd"/><access mode="shared"/></memoryBacking>',
}
FREE_ROOT_PORT = {
    "action": "add",
    "xpath": "/domain/devices",
    "value": '<controller type="pci" index="20" model="pcie-root-port"/>',
}


def write_raw(path: Path, text: str, size: int = MIB) -> str:
    """Write a raw image that begins with a text, and return its path."""
    path.write_bytes(text.encode("ascii").ljust(size, b"\0"))
    path.chmod(0o666)
    return str(path)


def write_luks(path: Path, text: str) -> str:
    """Write a LUKS image whose clear text begins with a text, and return its path."""
    secret = ["--object", f"secret,id=key,data={PASSPHRASE}"]
    create = ["qemu-img", "create", "-q", *secret, "-f", "luks", "-o", "key-secret=key,iter-time=10", str(path), "1M"]
    # qemu-img benchmarks the CPU for the key derivation, which sometimes fails on a busy CPU.
    wait_until(lambda: subprocess.run(create, check=False).returncode == 0, f"qemu-img creates {path}")
    clear = path.with_name("clear")
    write_raw(clear, text)
    target = f"driver=luks,key-secret=key,file.filename={path}"
    convert = ["qemu-img", "convert", "-q", "-n", *secret, "-f", "raw", "--target-image-opts", str(clear), target]
    subprocess.run(convert, check=True)
    path.chmod(0o666)
    return str(path)


@pytest.fixture(scope="module")
def passphrase() -> Iterator[str]:
    """Yield the UUID of a libvirt secret with the passphrase."""
    secret = str(uuid.uuid4())
    xml = f"<secret ephemeral='yes' private='no'><uuid>{secret}</uuid></secret>"
    hypervisor().define_secret(xml, False)
    hypervisor().set_secret_value(secret, PASSPHRASE.encode())
    yield secret
    try_virsh("secret-undefine", secret)


@pytest.fixture(scope="module")
def vhost_volume() -> Iterator[str]:
    """Yield the socket of a storage daemon that serves a volume."""
    with image_directory() as directory:
        directory.chmod(0o777)
        image, socket = write_raw(directory / "vhost.raw", "served by vhost-user"), directory / "vhost.sock"
        daemon = subprocess.Popen(
            [
                "qemu-storage-daemon",
                f"--blockdev=driver=file,node-name=file,filename={image}",
                f"--export=type=vhost-user-blk,id=disk,addr.type=unix,addr.path={socket},node-name=file,writable=on,"
                "num-queues=2",
            ]
        )
        try:
            wait_until(socket.exists, "the storage daemon listens")
            socket.chmod(0o666)
            yield str(socket)
        finally:
            daemon.terminate()
            daemon.wait()


@pytest.fixture(scope="module")
def described(passphrase: str, vhost_volume: str) -> Iterator[dict[str, Any]]:
    """Yield the options of a VM with a Linux and disks of all kinds, and remove the VM at the end."""
    with image_directory() as directory:
        data = {"format": "raw", "discard": "unmap"}
        vm = {
            "uuid": str(uuid.uuid4()),
            "name": "disks",
            "memory": "128MiB",
            "cpu_num": 2,
            "cpu_speed": 1024,
            "domain_type": "qemu",
            "machine": "q35",
            "boot_dev": [],
            "use_boot_menu": False,
            "root_volume": {
                "install_path": str(linux_guest.boot_disk(directory / "guest.qcow2")),
                "serial": "the-root-volume",
                "boot_order": 1,
                "queues": 2,
            },
            "data_volumes": [
                {
                    **data,
                    "install_path": write_raw(directory / "scsi.raw", "on the SCSI bus"),
                    "use_virtio_scsi": True,
                    "serial": "0123456789abcdef0123456789abcdef",
                    "controller_index": 1,
                },
                {
                    **data,
                    "install_path": write_luks(directory / "luks.raw", "clear text of LUKS"),
                    "serial": "encrypted",
                    "luks_secret_uuid": passphrase,
                },
                {"install_path": vhost_volume, "device_type": "vhost", "queues": 2},
            ],
            "cd_roms": [
                {"serial": "first-drive"},
                {"path": str(media.write_cd(directory / "cd.iso", "a CD"))},
                {},
            ],
            "floppies": [write_raw(directory / "driver.vfd", "a floppy", 1440 << 10), str(directory / "missing.vfd")],
            "domain_patches": [SHARED_MEMORY, FREE_ROOT_PORT],
        }
        try:
            yield vm
        finally:
            remove_domain(str(vm["uuid"]))


@pytest.fixture
def guest(described: dict[str, Any]) -> dict[str, Any]:
    """Return the VM, booted. It boots once for all tests, and again after one that has removed it."""
    if state(described["uuid"]) != "running":
        run = start(described)
        assert not run.failed, run.vm
        linux_guest.wait_until_booted(described["uuid"])
    return described


def disk_of(vm: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Return the guest's facts about the disk that has these facts."""
    disks = linux_guest.seen(vm["uuid"], "disk")
    (found,) = [disk for disk in disks if facts.items() <= disk.items()]
    return found


def content(vm: dict[str, Any], name: str) -> str:
    """Return the beginning of a disk, as the guest reads it."""
    return linux_guest.execute(vm["uuid"], f"head -c 32 /dev/{name} | tr -d '\\0'; echo")


def test_the_guest_sees_serial_numbers(guest: dict[str, Any]) -> None:
    serials = {disk["serial"] for disk in linux_guest.seen(guest["uuid"], "disk")}
    assert {"the-root-volume", "0123456789abcdef0123456789abcdef", "encrypted"} <= serials


def test_the_guest_has_the_queues(guest: dict[str, Any]) -> None:
    name = disk_of(guest, serial="the-root-volume")["name"]
    assert "queues: 2" in linux_guest.execute(guest["uuid"], f"echo queues: $(ls /sys/block/{name}/mq | wc -l)")


def test_the_guest_reads_a_luks_volume(guest: dict[str, Any]) -> None:
    assert "clear text of LUKS" in content(guest, disk_of(guest, serial="encrypted")["name"])


def test_the_guest_reads_and_writes_a_vhost_user_volume(guest: dict[str, Any]) -> None:
    (name,) = [
        disk["name"]
        for disk in linux_guest.seen(guest["uuid"], "disk")
        if disk["bus"] == "virtio" and disk["bytes"] == MIB and disk.get("serial") != "encrypted"
    ]
    assert "served by vhost-user" in content(guest, name)


def test_a_scsi_disk_is_on_its_own_controller(guest: dict[str, Any]) -> None:
    disk = disk_of(guest, serial="0123456789abcdef0123456789abcdef")
    assert disk["scsi"].endswith(":0:0:1")
    controllers = definition(guest["uuid"], inactive=False).findall("devices/controller[@type='scsi']")
    assert sorted(controller.get("index") for controller in controllers) == ["0", "1"]


def test_the_drives_are_the_listed_ones(guest: dict[str, Any]) -> None:
    drives = {
        device["qdev"].rpartition("/")[2]: device.get("inserted", {}).get("file", "")
        for device in qmp(guest["uuid"], "query-block")
        if device["removable"]
    }
    files = sorted(Path(path).name for path in drives.values())
    assert files == ["", "", "cd.iso", "driver.vfd"]


def test_a_further_run_finds_nothing_to_do(guest: dict[str, Any]) -> None:
    run = start(guest, on_drift="live")
    assert (run.result["changed"], run.vm["differences"], run.vm["restart_required"]) == (False, [], False)


def test_a_disk_is_plugged_into_a_root_port_and_its_limits_change(guest: dict[str, Any], images: Path) -> None:
    plugged = {"install_path": write_raw(images / "plugged.raw", "plugged in"), "format": "raw", "serial": "plugged"}
    limited = {**plugged, "qos": {"read_bandwidth": MIB, "write_iops": 100}}
    for volume in (plugged, limited):
        run = start({**guest, "data_volumes": [*guest["data_volumes"], volume]}, on_drift="live")
        assert not run.failed and not run.vm["restart_required"], run.vm
    linux_guest.wait_until_seen(guest["uuid"], "disk", serial="plugged")
    (device,) = [
        each
        for each in qmp(guest["uuid"], "query-block")
        if each.get("inserted", {}).get("file", "").endswith("plugged.raw")
    ]
    assert (device["inserted"]["bps_rd"], device["inserted"]["iops_wr"]) == (MIB, 100)
    run = start(guest, on_drift="live")
    assert not run.failed and not run.vm["restart_required"], run.vm


def test_a_luks_secret_without_a_value_is_an_error_before_anything_is_touched(new_vm: NewVm, images: Path) -> None:
    secret = str(uuid.uuid4())
    hypervisor().define_secret(f"<secret ephemeral='yes'><uuid>{secret}</uuid></secret>", False)
    try:
        vm = new_vm(
            data_volumes=[
                {"install_path": write_raw(images / "data.raw", ""), "format": "raw", "luks_secret_uuid": secret},
                {"install_path": str(images / "no.sock"), "device_type": "vhost"},
            ],
            scsi_luns=[{"path": str(images / "no-lun"), "device_id": 9}],
            memory_access="shared",
            memory_snapshot=str(images / "no-snapshot"),
        )
        run = failed(vm)
    finally:
        try_virsh("secret-undefine", secret)
    message = run.vm["error"]["message"]
    assert f"vms[0].data_volumes[0].luks_secret_uuid: the libvirt secret {secret} has no value" in message
    assert f"vms[0].data_volumes[1].install_path: the socket {images}/no.sock does not exist" in message
    assert f"vms[0].scsi_luns[0].path: {images}/no-lun does not exist" in message
    assert f"vms[0].memory_snapshot: the file {images}/no-snapshot does not exist" in message
    assert state(vm["uuid"]) == "absent"


def recorded_addresses(vm: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the addresses of the running VM's disks by the names of the disks."""
    disks = definition(vm["uuid"], inactive=False).findall("devices/disk")
    return {disk.find("target").get("dev"): dict(disk.find("address").attrib) for disk in disks}


def test_addresses_are_kept_over_three_restarts_of_a_vm_that_is_redefined(new_vm: NewVm, images: Path) -> None:
    first = {"install_path": write_raw(images / "first.raw", ""), "format": "raw", "device_id": 1}
    second = {"install_path": write_raw(images / "second.raw", ""), "format": "raw", "device_id": 2}
    vm = new_vm(data_volumes=[first, second], cd_roms=[{}], create_paused=True)
    assert not start(vm).failed
    addresses = recorded_addresses(vm)
    # Without its neighbour, libvirt would choose another address for the second disk.
    vm = {
        **vm,
        "root_volume": {**vm["root_volume"], "address": addresses["vda"]},
        "data_volumes": [{**second, "address": addresses["vdd"]}],
        "cd_roms": [{"address": addresses["hdc"]}],
    }
    del addresses["vdb"]
    for _restart in range(3):
        remove_domain(vm["uuid"])
        assert not start(vm).failed
        assert recorded_addresses(vm) == addresses


def test_a_disk_gets_the_address_of_a_controller_of_a_vm_that_exists(new_vm: NewVm) -> None:
    vm = new_vm(create_paused=True)
    assert not start(vm).failed
    (taken,) = definition(vm["uuid"]).iterfind("devices/controller[@type='scsi']/address")
    wanted = {"type": "pci", "bus": taken.get("bus"), "slot": taken.get("slot")}
    run = agreed({**vm, "root_volume": {**vm["root_volume"], "address": wanted}})
    assert (run.actions, run.vm["restart_required"]) == (["define"], True)
    assert definition(vm["uuid"]).find("devices/disk/address").attrib == taken.attrib


def test_a_vm_boots_from_the_export_that_its_root_volume_is_recovered_from(new_vm: NewVm, images: Path) -> None:
    image, port = media.write_raw(images / "recovered.raw", "recovered"), free_port("127.0.0.1")
    server = subprocess.Popen(
        ["qemu-nbd", "-f", "raw", "-x", "volume", "-b", "127.0.0.1", "-p", str(port), "-t", str(image)]
    )
    try:
        wait_until(lambda: HostSystem().network.answers("127.0.0.1", port), "the NBD server listens")
        url = f"nbd://127.0.0.1:{port}/volume"
        vm = new_vm(root_volume={"install_path": str(images / "incomplete.qcow2"), "recovery_url": url})
        assert not start(vm).failed
        wait_for_text(vm["uuid"], "recovered", 20)
    finally:
        server.terminate()
        server.wait()


def test_a_vm_that_is_started_paused_stays_so(new_vm: NewVm, images: Path) -> None:
    scsi = {"install_path": write_raw(images / "scsi.raw", ""), "format": "raw", "use_scsi": True}
    # The model that libvirt chooses for the controller is no drift.
    vm = new_vm(create_paused=True, data_volumes=[scsi])
    run = start(vm)
    assert (run.failed, run.vm["state"], state(vm["uuid"])) == (False, "paused", "paused")
    again = start(vm)
    assert (again.failed, again.vm["differences"], again.result["changed"]) == (False, [], False)
    assert state(vm["uuid"]) == "paused"
    resumed = start({**vm, "create_paused": False})
    assert (resumed.vm["actions"], state(vm["uuid"])) == (["resume"], "running")


def test_a_vm_that_is_restored_paused_has_what_was_saved(new_vm: NewVm, images: Path) -> None:
    images.chmod(0o777)
    snapshot = str(images / "memory")
    vm = new_vm(create_paused=True)
    assert not start({**vm, "smbios": {"serial": "saved"}}).failed
    virsh("save", vm["uuid"], snapshot)
    whole = {**vm, "memory_snapshot": snapshot, "omitted_settings": "remove"}
    run = agreed(whole)
    assert (run.actions, run.vm["state"], run.vm["restart_required"]) == (["define", "restore"], "paused", True)
    assert definition(vm["uuid"], inactive=False).findtext("sysinfo/system/entry") == "saved"
    again = agreed(whole)
    assert (again.result["changed"], again.vm["restart_required"]) == (False, True)


@pytest.fixture
def removed_afterwards(guest: dict[str, Any]) -> Iterator[None]:
    """Remove the VM after a test that restores it; the next one that needs the VM boots it again."""
    yield
    remove_domain(guest["uuid"])


@pytest.mark.usefixtures("removed_afterwards")
def test_a_restored_guest_continues_where_it_was(guest: dict[str, Any], images: Path) -> None:
    images.chmod(0o777)
    without_server = {**guest, "data_volumes": guest["data_volumes"][:-1]}
    assert not start(without_server, on_drift="live").failed
    assert '"status":0' in linux_guest.execute(guest["uuid"], "echo it was here > /tmp/mark")
    snapshot = str(images / "memory")
    virsh("save", guest["uuid"], snapshot)
    recorded = virsh("dumpxml", guest["uuid"])
    remove_domain(guest["uuid"])
    run = start({**without_server, "memory_snapshot": snapshot, "memory_snapshot_xml": recorded})
    assert (run.failed, run.vm["state"]) == (False, "running"), run.vm
    assert run.vm["actions"] == ["define", "restore"]
    assert "it was here" in linux_guest.execute(guest["uuid"], "cat /tmp/mark")
    assert addresses(guest["uuid"], inactive=True) == addresses(guest["uuid"], inactive=False)
    again = start({**without_server, "memory_snapshot": snapshot}, on_drift="live")
    assert (again.result["changed"], again.vm["differences"]) == (False, [])
    whole = start(guest, on_drift="live")
    assert (whole.failed, whole.vm["restart_required"]) == (False, False), whole.vm


def addresses(uuid: str, inactive: bool) -> list[dict[str, str]]:
    """Return the addresses of all devices of a VM, in their definition or as they run."""
    return [dict(address.attrib) for address in definition(uuid, inactive).iterfind("devices/*/address")]
