# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a running VM: each is reverted by its undo, and a refused one waits for the next boot."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions import live
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.tests.unit.fakes import UUID, FakeDomain, FakeHypervisor, FakeSystem, context_of

NEW, OLD = "<new/>", "<old/>"
LOST = VmError("connection_lost", "gone")
DISK = "<disk><target dev='vdb'/></disk>"
ADDRESS = "<address type='pci' slot='0x07'/>"
PATH = "devices/disk/target[@dev='vdb']/.."
PLUGGED = (DISK, PATH, "volume vdb")


def libvirt_with(**domain: Any) -> FakeHypervisor:
    """Return a libvirt with the running VM."""
    return FakeHypervisor({UUID: FakeDomain(**domain)})


@pytest.mark.parametrize(
    ("action", "name", "change", "undo"),
    [
        (live.UpdateNic(NEW, OLD), "update_nic", ("update_device", NEW), ("update_device", OLD)),
        (live.ChangeMedia(NEW, OLD), "change_media", ("update_device", NEW), ("update_device", OLD)),
        (live.SetConsolePassword(NEW, OLD), "set_console_password", ("update_device", NEW), ("update_device", OLD)),
        (live.AttachMemory(NEW), "attach_memory", ("attach_device", NEW), ("detach_device", NEW)),
        (
            live.SetVolumeQos("vda", {"read_iops_sec": 5}, {"read_iops_sec": 0}),
            "set_volume_qos",
            ("set_block_io_tune", "vda", {"read_iops_sec": 5}),
            ("set_block_io_tune", "vda", {"read_iops_sec": 0}),
        ),
        (
            live.SetBalloonPeriod(10, before=0),
            "set_balloon_period",
            ("set_memory_stats_period", 10),
            ("set_memory_stats_period", 0),
        ),
        (live.SetVcpus(4, before=2), "set_vcpus", ("set_vcpus", 4), ("set_vcpus", 2)),
        (
            live.SetCpuShares(512, before=1024),
            "set_cpu_shares",
            ("set_scheduler", {"cpu_shares": 512}),
            ("set_scheduler", {"cpu_shares": 1024}),
        ),
        (
            live.SetCpuQuota((1000, 500), before=(2000, -1)),
            "set_cpu_quota",
            ("set_scheduler", {"vcpu_period": 1000, "vcpu_quota": 500}),
            ("set_scheduler", {"vcpu_period": 2000, "vcpu_quota": -1}),
        ),
        (
            live.PinThread("vcpu", 1, frozenset({2}), frozenset({3})),
            "pin_thread",
            ("pin", "vcpu", 1, frozenset({2})),
            ("pin", "vcpu", 1, frozenset({3})),
        ),
        (
            # Of a hypervisor with 4 CPUs.
            live.PinThread("vcpu", 1, frozenset({2}), frozenset()),
            "pin_thread",
            ("pin", "vcpu", 1, frozenset({2})),
            ("pin", "vcpu", 1, frozenset({0, 1, 2, 3})),
        ),
        (live.SetDescription("new", None), "set_description", ("set_description", "new"), ("set_description", None)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_undo_sets_what_was_before(
    action: live.LiveChange, name: str, change: tuple[Any, ...], undo: tuple[Any, ...]
) -> None:
    libvirt = libvirt_with()
    outcome = action.do(context_of(libvirt))
    assert outcome.undo is not None
    outcome.undo()
    assert action.name == name
    assert libvirt.changes == [(call[0], UUID, *call[1:]) for call in (change, undo)]


@pytest.mark.parametrize(
    ("action", "prepares"),
    [
        (live.UpdateNic, True),
        (live.ChangeMedia, True),
        (live.ReconnectNic, True),
        (live.AttachVolume, True),
        (live.AttachNic, True),
        (live.DetachVolume, False),
        (live.DetachNic, False),
        (live.SetConsolePassword, False),
        (live.SetVcpus, False),
    ],
)
def test_what_a_device_needs_is_prepared_before_it_is_plugged_in(action: type[live.LiveChange], prepares: bool) -> None:
    assert action.needs_preparation is prepares


class TestAChangeThatFails:
    ACTION = live.SetVcpus(4, before=2)

    @pytest.mark.parametrize("code", ["libvirt_error", "unsupported_device", "invalid_domain", "vm_busy"])
    def test_because_the_vm_cannot_be_changed_now_is_refused(self, code: str) -> None:
        libvirt = libvirt_with()
        libvirt.errors["set_vcpus"] = VmError(code, "no")
        outcome = self.ACTION.do(context_of(libvirt))
        assert (outcome.is_refused, outcome.undo) == (True, None)

    def test_for_a_reason_that_the_next_boot_would_have_too_is_a_failure(self) -> None:
        libvirt = libvirt_with()
        libvirt.errors["set_vcpus"] = VmError("disk_full", "no")
        with pytest.raises(VmError):
            self.ACTION.do(context_of(libvirt))

    def test_while_libvirt_is_lost_is_undone(self) -> None:
        libvirt = libvirt_with()
        libvirt.errors["set_vcpus"] = LOST
        outcome = self.ACTION.do(context_of(libvirt))
        assert (outcome.failure, outcome.is_refused) == (LOST, False)
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes[-1] == ("set_vcpus", UUID, 2)

    def test_to_be_seen_because_libvirt_is_lost_is_undone(self) -> None:
        libvirt = libvirt_with()
        libvirt.errors.update(state=LOST, reconnect=LOST)
        outcome = self.ACTION.do(context_of(libvirt))
        assert outcome.failure is LOST
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == [("set_vcpus", UUID, 4), ("reconnect",), ("set_vcpus", UUID, 2)]

    @pytest.mark.parametrize("error", [None, VmError("libvirt_error", "no")])
    def test_because_the_vm_has_ended_is_no_refusal(self, error: VmError) -> None:
        libvirt = libvirt_with(state="shutoff", reason="crashed")
        libvirt.errors.update({"set_vcpus": error} if error else {})
        with pytest.raises(VmError) as caught:
            self.ACTION.do(context_of(libvirt))
        assert caught.value.code == "vm_ended"
        assert "shutoff (crashed)" in caught.value.message


class TestADeviceThatIsPluggedIn:
    def test_gets_the_address_that_it_has_in_the_definition(self) -> None:
        libvirt = libvirt_with(defined=DISK.replace("</disk>", ADDRESS + "</disk>"))
        live.AttachVolume(*PLUGGED).do(context_of(libvirt))
        ((name, _uuid, attached),) = libvirt.changes
        assert name == "attach_device"
        assert "slot=" in attached

    # As libvirt reports a device that QEMU has and one that libvirt itself has.
    @pytest.mark.parametrize("code", ["libvirt_error", "invalid_domain"])
    def test_gets_another_address_where_that_one_is_taken(self, code: str) -> None:
        libvirt = libvirt_with(defined=DISK.replace("</disk>", ADDRESS + "</disk>"))
        libvirt.errors["attach_device"] = VmError(code, "address in use")
        assert live.AttachVolume(*PLUGGED).do(context_of(libvirt)).failure is None
        assert libvirt.changes[1] == ("attach_device", UUID, DISK)

    def test_is_plugged_in_nowhere_where_the_next_boot_would_fail_too(self) -> None:
        libvirt = libvirt_with(defined=DISK.replace("</disk>", ADDRESS + "</disk>"))
        libvirt.errors["attach_device"] = VmError("disk_full", "no")
        with pytest.raises(VmError):
            live.AttachVolume(*PLUGGED).do(context_of(libvirt))
        assert len(libvirt.changes) == 1

    def test_waits_for_the_next_boot_if_the_guest_keeps_what_it_replaces(self) -> None:
        libvirt = libvirt_with(running=DISK)
        outcome = live.AttachVolume(*PLUGGED, replaced=PATH).do(context_of(libvirt))
        assert (outcome.is_refused, libvirt.changes) == (True, [])

    def test_replaces_one_that_is_gone(self) -> None:
        libvirt = libvirt_with()
        assert live.AttachVolume(*PLUGGED, replaced=PATH).do(context_of(libvirt)).failure is None
        assert libvirt.changes == [("attach_device", UUID, DISK)]

    def test_is_unplugged_in_a_rollback(self) -> None:
        libvirt = libvirt_with()
        outcome = live.AttachNic(*PLUGGED).do(context_of(libvirt))
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == [("attach_device", UUID, DISK), ("detach_device", UUID, DISK)]

    @pytest.mark.parametrize(("running", "undone"), [("", []), (DISK, [("detach_device", UUID, DISK)])])
    def test_while_libvirt_is_lost_is_unplugged_only_if_it_is_there(
        self, running: str, undone: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "_UNPLUG_SECONDS", 0)
        libvirt = libvirt_with(running=running)
        libvirt.errors["attach_device"] = LOST
        outcome = live.AttachVolume(*PLUGGED).do(context_of(libvirt))
        libvirt.domains[UUID].running = running
        libvirt.calls.clear()
        libvirt.detach_device = lambda *call: unplug(libvirt, *call)  # type: ignore[method-assign]
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == undone


def unplug(libvirt: FakeHypervisor, *call: Any) -> None:
    """Unplug the device at once, as a guest does that cooperates."""
    libvirt.note("detach_device", *call)
    libvirt.domains[UUID].running = ""


class TestADeviceThatIsUnplugged:
    @pytest.fixture(autouse=True)
    def short_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "_UNPLUG_SECONDS", 0)

    def test_is_plugged_in_again_in_a_rollback(self) -> None:
        libvirt = libvirt_with()
        outcome = live.DetachVolume(*PLUGGED).do(context_of(libvirt))
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == [("detach_device", UUID, DISK), ("attach_device", UUID, DISK)]

    def test_and_that_the_guest_keeps_is_refused(self) -> None:
        outcome = live.DetachVolume(*PLUGGED).do(context_of(libvirt_with(running=DISK)))
        assert outcome.is_refused
        assert outcome.failure is not None and "has not released volume vdb" in outcome.failure.message

    def test_while_the_task_is_interrupted_may_still_be_released(self) -> None:
        context = context_of(libvirt_with(running=DISK))
        context.cancelled.set()
        with pytest.raises(VmError, match="asked to release volume vdb, and may still do so") as caught:
            live.DetachVolume(*PLUGGED).do(context)
        assert caught.value.code == "interrupted"

    @pytest.mark.parametrize(("running", "undone"), [(DISK, []), ("", [("attach_device", UUID, DISK)])])
    def test_while_libvirt_is_lost_is_plugged_in_again_only_if_it_is_gone(
        self, running: str, undone: list[tuple[str, ...]]
    ) -> None:
        libvirt = libvirt_with(running=running)
        libvirt.errors["detach_device"] = LOST
        outcome = live.DetachNic(*PLUGGED).do(context_of(libvirt))
        assert outcome.undo is not None
        outcome.undo()
        assert libvirt.changes == [("detach_device", UUID, DISK), *undone]


def test_a_nic_is_reconnected_and_disconnected_without_libvirt() -> None:
    system, libvirt = FakeSystem(), libvirt_with()
    outcome = live.ReconnectNic("<interface/>", "vnet0", "br0", before="").do(context_of(libvirt, system))
    assert outcome.undo is not None
    outcome.undo()
    assert system.ran == ["ip link set dev vnet0 master br0", "ip link set dev vnet0 nomaster"]
    assert libvirt.changes == []
