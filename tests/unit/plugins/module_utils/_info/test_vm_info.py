# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Information about VMs of which some hang or vanish meanwhile, from a simulated hypervisor."""

from __future__ import annotations

import uuid
from typing import Any

from ansible_collections.zstack.kvm.plugins.module_utils._diagnostics.screenshot import write_png
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import RemoteSystem
from ansible_collections.zstack.kvm.plugins.module_utils._info.vm_info import Pictures, vm_information
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import SLOW_CALLS_AT_ONCE, ListedDomain
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeDomain, FakeHypervisor

GONE = str(uuid.UUID(int=1000))
SILENCE = "cannot get the size of a disk: QEMU has not answered for 10 seconds"
DEVICES = """
    <disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
    <video><model type='vga'/></video>
"""


def vm(number: int) -> str:
    return str(uuid.UUID(int=number))


class Host(FakeHypervisor):
    """A hypervisor with running VMs, of which some hang, some agents are silent, and one has vanished."""

    def __init__(
        self,
        count: int,
        hanging: tuple[str, ...] = (),
        silent: tuple[str, ...] = (),
        refused: tuple[str, ...] = (),
        spoiled: tuple[str, ...] = (),
    ) -> None:
        super().__init__({vm(number): FakeDomain(running=DEVICES) for number in range(count)})
        self.hanging = hanging
        self.silent = silent
        self.refused = refused
        self.spoiled = spoiled
        self.requests: list[tuple[str, str]] = []

    def list_domains(self) -> list[ListedDomain]:
        return [*super().list_domains(), ListedDomain(GONE, "vm-" + GONE, True)]

    def state(self, uuid: str) -> tuple[str, str]:
        if uuid in self.spoiled:
            raise VmError("libvirt_error", "cannot get the state: no")
        return super().state(uuid)

    def block_size(self, uuid: str, target: str) -> tuple[int, int]:
        self._answer(uuid, "get the size of a disk", uuid in self.hanging)
        return 10, 5

    def screenshot(self, uuid: str) -> bytes:
        self._answer(uuid, "take a picture", uuid in self.hanging)
        return write_png(1, 1, [b"rgb"])

    def interface_addresses(self, uuid: str, source: str) -> dict[str, dict[str, Any]]:
        if source == "agent" and uuid in self.refused:
            raise VmError("libvirt_error", "cannot get the addresses: 5000 NICs", libvirt_code=1)
        if source == "agent":
            self._answer(uuid, "get the addresses", uuid in self.hanging + self.silent)
        return {}

    def _answer(self, uuid: str, what: str, hangs: bool) -> None:
        self.requests.append((uuid, what))
        if hangs:
            raise VmError("qemu_hangs", f"cannot {what}: QEMU has not answered for 10 seconds")


def reported(host: Host, *uuids: str, others: bool = True) -> dict[str, dict[str, Any]]:
    """Return the entries by UUID, with screenshots."""
    system = RemoteSystem("qemu+ssh://hv1/system")
    return {entry["uuid"]: entry for entry in vm_information(host, system, uuids, others, Pictures(None, 1))}


def test_a_hanging_qemu_is_queried_once_and_its_vm_reported_without_it() -> None:
    host = Host(3, hanging=(vm(1),))
    entry = reported(host)[vm(1)]
    assert [call for call in host.requests if call[0] == vm(1)] == [(vm(1), "get the size of a disk")]
    assert (entry["state"], entry["qemu_hangs"], entry["name"]) == ("running", True, "vm-" + vm(1))
    assert [(disk["source"], disk["size"]) for disk in entry["disks"]] == [("/a", None), ("/b", None)]
    assert entry["thumbnail"] is None
    assert entry["warnings"] == ["the information about this VM is incomplete: " + SILENCE]


def test_the_others_are_reported_completely() -> None:
    entries = reported(Host(3, hanging=(vm(1),)))
    for each in (vm(0), vm(2)):
        assert (entries[each]["qemu_hangs"], entries[each]["warnings"]) == (False, [])
        assert [disk["size"] for disk in entries[each]["disks"]] == [10, 10]
        assert entries[each]["thumbnail"] is not None


def test_after_the_limit_of_hanging_qemus_no_more_are_queried() -> None:
    hanging = tuple(vm(number) for number in range(SLOW_CALLS_AT_ONCE))
    host = Host(100, hanging=hanging)
    entries = reported(host)
    last = entries[vm(99)]
    assert {uuid for uuid, entry in entries.items() if entry["qemu_hangs"]} == set(hanging)
    assert (last["qemu_hangs"], last["disks"][0]["size"]) == (False, None)
    assert last["warnings"] == [
        "the information about this VM is incomplete: not queried, because 4 other VMs have not answered"
    ]


def test_the_silence_of_an_agent_is_not_that_of_qemu() -> None:
    entry = reported(Host(1, silent=(vm(0),)))[vm(0)]
    assert (entry["qemu_hangs"], entry["addresses"], entry["warnings"]) == (False, [], [])
    assert entry["thumbnail"] is not None


def test_one_that_was_removed_meanwhile_is_reported_only_where_it_was_named() -> None:
    assert GONE not in reported(Host(1))
    assert reported(Host(1), GONE)[GONE]["state"] == "absent"
    assert reported(Host(1), GONE, others=False).keys() == {GONE}


def test_an_agent_reply_that_libvirt_rejects_costs_only_the_addresses_of_that_vm() -> None:
    entries = reported(Host(2, refused=(vm(0),)))
    warning = "there are no addresses from the guest agent: cannot get the addresses: 5000 NICs"
    assert (entries[vm(0)]["state"], entries[vm(0)]["addresses"]) == ("running", [])
    assert entries[vm(0)]["warnings"] == [warning]
    assert entries[vm(1)]["warnings"] == []


def test_a_vm_that_could_not_be_examined_has_all_keys() -> None:
    entries = reported(Host(2, spoiled=(vm(0),)))
    unknown, known = entries[vm(0)], entries[vm(1)]
    assert (unknown["state"], unknown["name"]) == ("unknown", "vm-" + vm(0))
    assert unknown["warnings"] == ["its information could not be gathered: cannot get the state: no"]
    assert unknown.keys() == known.keys()
