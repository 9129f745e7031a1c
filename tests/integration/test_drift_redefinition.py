# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that is redefined keeps its hardware, and changes made outside of Ansible are reverted.

It tests with real runs a sample of what the walk (test_drift_walk.py) does in process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.zstack.kvm.tests.integration.conftest import NewVm, image_directory
from ansible_collections.zstack.kvm.tests.support import in_process, linux_guest, module_run, qemu_devices
from ansible_collections.zstack.kvm.tests.support.playbook import agreed
from ansible_collections.zstack.kvm.tests.support.virsh import definition, remove_domain, virsh
from lxml import etree

MIB = 1 << 20
MARK = b"what was in the NVRAM"


class Seen(NamedTuple):
    """A VM as its guest, its QEMU and libvirt see it."""

    guest: dict[Any, str]
    qemu: dict[str, dict[str, str]]
    domain: etree._Element

    @property
    def nvram(self) -> Path:
        """Return the file with the variables of its firmware."""
        return Path(self.domain.findtext("os/nvram"))


class Redefined(NamedTuple):
    """A VM before and after."""

    before: Seen
    after: Seen


def nic(vm: dict[str, Any], number: int) -> dict[str, Any]:
    """Return one of the VM's NICs."""
    mac = "fa:16:3e:%s:%s:%02x" % (vm["uuid"][:2], vm["uuid"][2:4], number)
    return {"mac": mac, "bridge_name": "br_eth0", "nic_internal_name": "v%s.%d" % (vm["uuid"][:6], number)}


def volume(directory: Path, device_id: int, **options: Any) -> dict[str, Any]:
    """Return a data volume of as many MiB as its number."""
    path = directory / f"data-{device_id}.raw"
    path.write_bytes(bytes(device_id * MIB))
    path.chmod(0o666)
    return {"install_path": str(path), "device_id": device_id, "format": "raw", **options}


def seen_by_guest(vm: dict[str, Any]) -> dict[Any, str]:
    """Return where the guest finds its NICs (by MAC) and disks (by size), and what it finds in each PCI slot."""
    linux_guest.wait_until_booted(vm["uuid"])
    found = {}
    for each in linux_guest.inventory(vm["uuid"]):
        if each["kind"] == "nic":
            found[each["mac"]] = each["pci"]
        elif each["kind"] == "disk":
            # Channel, target and LUN only: the number before them depends on the order in which drivers came up.
            found[each["bytes"]] = each["pci"] + each["scsi"].partition(":")[2]
        elif each["kind"] == "pci":
            found[each["address"]] = each["vendor"] + each["device"]
    return found


def seen(vm: dict[str, Any]) -> Seen:
    """Return all of that for a running VM."""
    return Seen(seen_by_guest(vm), qemu_devices.slots(vm["uuid"]), definition(vm["uuid"], inactive=False))


def mark(nvram: Path) -> None:
    """Write something at the end, where the firmware has unused space."""
    with nvram.open("r+b") as file:
        file.seek(-len(MARK), os.SEEK_END)
        file.write(MARK)


def older_machine() -> str:
    """Return a version of the machine pc that isn't the newest one, which libvirt gives to new VMs."""
    guests = etree.fromstring(in_process.hypervisor().capabilities())
    machines = guests.xpath("guest/arch[@name='x86_64']/machine/text()")
    return sorted(machine for machine in machines if re.fullmatch(r"pc-i440fx-\d\.\d", machine))[-2]


@pytest.fixture(scope="module")
def redefined() -> Iterator[Redefined]:
    """Yield a VM with devices on every bus, before and after a redefinition with more in front of them and a restart.

    Its guest boots twice.
    """
    with image_directory() as images:
        vm = {
            "uuid": "7e57ab1e-0000-4000-8000-0000000000bb",
            "name": "redefined",
            "memory": "256MiB",
            "cpu_num": 1,
            "cpu_speed": 1024,
            "domain_type": "qemu",
            "firmware": "uefi",
            "use_boot_menu": False,
            "console_mode": "spice",
            "usb_redirect": True,
            "channels": [{"socket_path": str(images / "agent.sock"), "target_name": "org.qemu.guest_agent.0"}],
            "root_volume": {"install_path": str(linux_guest.boot_disk(images / "guest.qcow2"))},
        }
        volumes = [volume(images, 2), volume(images, 3, use_virtio=False), volume(images, 5, use_virtio_scsi=True)]
        before = {**vm, "data_volumes": volumes, "nics": [nic(vm, 2)]}
        in_front = [volume(images, 1), volume(images, 4, use_virtio_scsi=True)]
        after = {**vm, "data_volumes": [*in_front, *volumes], "nics": [nic(vm, 1), nic(vm, 2)]}
        try:
            # As in a VM that was defined with an older QEMU.
            assert not in_process.start({**before, "machine": older_machine()}).failed
            first = seen(vm)
            virsh("destroy", vm["uuid"])
            mark(first.nvram)
            assert agreed(after).actions == ["define", "start"]
            yield Redefined(first, seen(vm))
        finally:
            remove_domain(vm["uuid"])


# The fixture's guest boots twice.
@pytest.mark.timeout(600)
class TestWhatIsPutInFrontOfOthers:
    def test_moves_nothing_that_the_guest_sees(self, redefined: Redefined) -> None:
        before, after = redefined.before.guest, redefined.after.guest
        assert {key: after.get(key) for key in before} == before
        # Two disks and a NIC, each by its name and by its slot; the disk on SCSI has no slot of its own.
        assert len(after) == len(before) + 5

    def test_moves_nothing_that_qemu_sees(self, redefined: Redefined) -> None:
        before, after = redefined.before.qemu, redefined.after.qemu
        assert {key: after.get(key) for key in before} == before
        assert {"ide.1", "scsi0.0", "usb.0", "virtio-serial0.0", "pci.0"} <= {slot["bus"] for slot in before.values()}
        assert len(after) == len(before) + 3

    def test_leaves_the_machines_version(self, redefined: Redefined) -> None:
        assert redefined.after.domain.find("os/type").get("machine") == older_machine()

    def test_leaves_the_indexes_of_controllers(self, redefined: Redefined) -> None:
        before, after = (
            sorted((each.get("type"), each.get("index"), each.get("model")) for each in controllers)
            for controllers in (seen.domain.iterfind("devices/controller") for seen in redefined)
        )
        assert after == before

    def test_leaves_the_nvram_and_what_is_in_it(self, redefined: Redefined) -> None:
        assert redefined.after.nvram == redefined.before.nvram
        assert redefined.after.nvram.read_bytes().endswith(MARK)


CHANGES = [
    ("devices/memballoon/stats", "period", "3", "devices/memballoon/stats/@period"),
    ("os/bootmenu", "enable", "no", "os/bootmenu/@enable"),
    ("devices/disk/driver", "cache", "writeback", "devices/disk[target=vda]/driver/@cache"),
]


@pytest.mark.parametrize(("path", "attribute", "value", "difference"), CHANGES)
def test_changes_made_outside_of_ansible_are_repaired(
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
    run = module_run.agreed(vm)
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
    (difference,) = in_process.agreed(vm).vm["differences"]
    assert (difference["path"], difference["after"]) == ("devices/disk[target=vdb]", None)
    devices = definition(vm["uuid"]).find("devices")
    assert (devices.find("disk/target[@dev='vdb']"), devices.find("rng") is None) == (None, False)


def test_what_omitted_options_describe_stays_and_is_removed_on_request(new_vm: NewVm) -> None:
    vm = {**new_vm(), "nics": []}
    card, root = nic(vm, 1), vm["root_volume"]
    tuned = {"nics": [{**card, "mtu": 1400}], "root_volume": {**root, "queues": 2, "serial": "one"}}
    in_process.start({**vm, **tuned, "smbios": {"serial": "two"}})
    usual = {**vm, "nics": [card]}
    assert not in_process.agreed(usual).result["changed"]
    run = in_process.agreed({**usual, "omitted_settings": "remove"})
    assert (run.actions, run.vm["restart_required"]) == (["define"], True)
    assert {each["path"] for each in run.vm["differences"]} == {
        "sysinfo",
        "os/smbios",
        "devices/disk[target=vda]/driver/@queues",
        "devices/disk[target=vda]/serial",
        "devices/interface[mac=%s]/mtu" % card["mac"],
    }
    virsh("destroy", vm["uuid"])
    assert in_process.agreed({**usual, "omitted_settings": "remove"}).actions == ["start"]
    assert not in_process.start({**usual, "omitted_settings": "remove"}).vm["differences"]


def test_what_patches_remove_is_gone_from_a_running_vm_at_its_next_boot(new_vm: NewVm) -> None:
    vm = new_vm()
    in_process.start(vm)
    taken_out = [{"action": "remove", "xpath": xpath} for xpath in ("devices/input", "on_crash", "devices/memballoon")]
    patched = {**vm, "domain_patches": taken_out}
    run = in_process.agreed(patched)
    assert (run.actions, run.vm["restart_required"]) == (["define"], True)
    assert {each["path"] for each in run.vm["differences"]} == {
        "devices/input[is=usb tablet]",
        "on_crash",
        "devices/memballoon/stats",
    }
    assert definition(vm["uuid"]).find("devices/input[@type='tablet']") is None
    again = in_process.agreed(patched)
    assert (again.result["changed"], again.vm["restart_required"]) == (False, True)
    virsh("destroy", vm["uuid"])
    assert in_process.agreed(patched).actions == ["start"]
    assert not in_process.start(patched).vm["restart_required"]


def test_a_running_vm_whose_definition_gets_what_the_hypervisor_lacks_comes_with_a_warning(new_vm: NewVm) -> None:
    vm = new_vm()
    vm["nics"] = [nic(vm, 0)]
    module_run.start(vm)
    vm["nics"][0]["bridge_name"] = "br_nope"
    run = module_run.agreed(vm)
    assert (run.actions, run.vm["restart_required"]) == (["define"], True)
    (warning,) = run.vm["warnings"]
    assert warning.startswith("the VM will not start again before this is corrected: vms[0].nics[0].bridge_name: ")
