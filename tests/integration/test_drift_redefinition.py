# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that is defined anew keeps its hardware, and what was changed behind our back is put right.

Through ansible-playbook, as a sample of what the walk (test_drift_walk.py) does in process.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm
from ansible_collections.zstack.kvm.tests.support import in_process, linux_guest
from ansible_collections.zstack.kvm.tests.support.playbook import agreed, start
from ansible_collections.zstack.kvm.tests.support.virsh import definition, virsh
from lxml import etree

MIB = 1 << 20


def nic(vm: dict[str, Any], number: int) -> dict[str, Any]:
    """One of the VM's NICs."""
    mac = "fa:16:3e:%s:%s:%02x" % (vm["uuid"][:2], vm["uuid"][2:4], number)
    return {"mac": mac, "bridge_name": "br_eth0", "nic_internal_name": "v%s.%d" % (vm["uuid"][:6], number)}


def volume(directory: Path, device_id: int) -> dict[str, Any]:
    """A data volume of as many MiB as its number."""
    path = directory / f"data-{device_id}.raw"
    path.write_bytes(bytes(device_id * MIB))
    path.chmod(0o666)
    return {"install_path": str(path), "device_id": device_id, "format": "raw"}


def seen_by_guest(vm: dict[str, Any]) -> dict[Any, str]:
    """Where the guest finds its NICs (by MAC) and disks (by size)."""
    linux_guest.wait_until_booted(vm["uuid"])
    inventory = linux_guest.inventory(vm["uuid"])
    return {
        each["mac"] if each["kind"] == "nic" else each["bytes"]: each["pci"]
        for each in inventory
        if each["kind"] in ("nic", "disk")
    }


def seen_by_qemu(vm: dict[str, Any]) -> set[tuple[int, int, str]]:
    """Slots and functions of the PCI bus, and what QEMU calls the devices there."""
    buses = json.loads(virsh("qemu-monitor-command", vm["uuid"], '{"execute": "query-pci"}'))["return"]
    return {(each["slot"], each["function"], each["qdev_id"]) for bus in buses for each in bus["devices"]}


def older_machine() -> str:
    """A version of the machine pc that isn't the newest one, which libvirt gives to new VMs."""
    guests = etree.fromstring(in_process.hypervisor().capabilities())
    machines = guests.xpath("guest/arch[@name='x86_64']/machine/text()")
    return sorted(machine for machine in machines if re.fullmatch(r"pc-i440fx-\d\.\d", machine))[-2]


# Its guest boots twice.
@pytest.mark.timeout(600)
def test_what_is_put_in_front_of_others_moves_none(new_vm: NewVm, images: Path) -> None:
    root = {"install_path": str(linux_guest.boot_disk(images / "guest.qcow2"))}
    vm = new_vm(root_volume=root, memory=linux_guest.MEMORY, data_volumes=[volume(images, 2)])
    vm["nics"] = [nic(vm, 2)]
    # As a VM has it that an older QEMU defined.
    in_process.start({**vm, "machine": (machine := older_machine())})
    guest = seen_by_guest(vm)
    slots = {(slot, function) for slot, function, _name in seen_by_qemu(vm)}
    virsh("destroy", vm["uuid"])
    more = {"data_volumes": [volume(images, 1), volume(images, 2)], "nics": [nic(vm, 1), nic(vm, 2)]}
    assert agreed({**vm, **more}).actions == ["define", "start"]
    now = seen_by_guest(vm)
    assert {thing: now[thing] for thing in guest} == guest
    assert len(now) == len(guest) + 2
    assert slots < {(slot, function) for slot, function, _name in seen_by_qemu(vm)}
    assert definition(vm["uuid"]).find("os/type").get("machine") == machine


CHANGES = [
    ("devices/memballoon/stats", "period", "3", "devices/memballoon/stats/@period"),
    ("os/bootmenu", "enable", "no", "os/bootmenu/@enable"),
    ("devices/disk/driver", "cache", "writeback", "devices/disk[target=vda]/driver/@cache"),
]


@pytest.mark.parametrize(("path", "attribute", "value", "difference"), CHANGES)
def test_what_was_changed_behind_our_back_is_put_right(
    new_vm: NewVm, images: Path, path: str, attribute: str, value: str, difference: str
) -> None:
    vm = new_vm(use_boot_menu=True)
    in_process.start(vm)
    domain = definition(vm["uuid"])
    element = domain.find(path)
    before = element.get(attribute)
    element.set(attribute, value)
    changed = images / "changed.xml"
    changed.write_bytes(etree.tostring(domain))
    virsh("define", str(changed))
    run = start(vm)
    assert run.actions == ["define"]
    assert run.vm["differences"] == [{"path": difference, "before": value, "after": before}]
    assert definition(vm["uuid"]).find(path).get(attribute) == before
    assert not in_process.start(vm).result["changed"]


def test_devices_by_hand_go_from_the_lists_that_the_document_owns_and_stay_elsewhere(
    new_vm: NewVm, images: Path
) -> None:
    vm = new_vm()
    in_process.start(vm)
    virsh("destroy", vm["uuid"])
    extra = volume(images, 1)["install_path"]
    virsh("attach-disk", vm["uuid"], extra, "vdb", "--config")
    generator = images / "rng.xml"
    generator.write_text("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>", encoding="utf-8")
    virsh("attach-device", vm["uuid"], str(generator), "--config")
    (difference,) = in_process.start(vm).vm["differences"]
    assert (difference["path"], difference["after"]) == ("devices/disk[target=vdb]", None)
    devices = definition(vm["uuid"]).find("devices")
    assert (devices.find("disk/target[@dev='vdb']"), devices.find("rng") is None) == (None, False)


def test_what_patches_take_out_goes_from_a_running_vm_at_its_next_boot(new_vm: NewVm) -> None:
    vm = new_vm()
    in_process.start(vm)
    taken_out = [{"action": "remove", "xpath": xpath} for xpath in ("devices/input", "on_crash", "devices/memballoon")]
    patched = {**vm, "domain_patches": taken_out}
    run = in_process.agreed(patched)
    assert (run.actions, run.vm["restart_required"]) == (["define"], True)
    assert {each["path"] for each in run.vm["differences"]} == {
        "devices/input[is=usb tablet]", "on_crash", "devices/memballoon/stats",
    }
    assert definition(vm["uuid"]).find("devices/input[@type='tablet']") is None
    again = in_process.start(patched)
    assert (again.result["changed"], again.vm["restart_required"]) == (False, True)
    virsh("destroy", vm["uuid"])
    assert in_process.agreed(patched).actions == ["start"]
    assert not in_process.start(patched).vm["restart_required"]
