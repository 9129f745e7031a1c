# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping VMs despite hanging QEMUs, stubborn guests and interference; and what is removed with the VMs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Removal
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.observed import ObservedVm
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import VmResult
from ansible_collections.zstack.kvm.plugins.module_utils._stop.stop import (
    StopRequest,
    channel_sockets,
    check_stoppable,
    stop_vms,
)
from ansible_collections.zstack.kvm.tests.unit.fakes import FakeDomain, FakeHypervisor, FakeSecret, FakeSystem
from lxml import etree

UUID, OTHER = "6a9c3b1e-2f64-4d0b-9a55-7a0d3c1f2b11", "0d0c2f86-6f0e-4f1b-8a50-1f3f0d7d6a02"
SECRET = "7f2e0b9c-3a51-4c7e-9d2e-0123456789ab"
SOCKET = "/run/tom & jerry's/agent.sock"

HANGS = VmError("qemu_hangs", "QEMU has not answered for 2 seconds")

CEPH_DISK = "<disk type='network'><source><auth><secret type='ceph' uuid='%s'/></auth></source></disk>" % SECRET
LUN_DISK = "<disk type='block'><source dev='/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.2024-01.io:a-lun-1'/></disk>"
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
PERSISTENT_TPM = "<tpm model='tpm-crb'><backend type='emulator' persistent_state='yes'/></tpm>"
CHANNEL = "<channel type='unix'><source mode='bind' path='%s'/></channel>" % (
    SOCKET.replace("&", "&amp;").replace("'", "&apos;")
)


def libvirt_with(*domains: FakeDomain) -> FakeHypervisor:
    """Return a libvirt with an ephemeral secret and these domains."""
    return FakeHypervisor(dict(zip((UUID, OTHER), domains)), [FakeSecret(SECRET)])


def owned_system(**options: Any) -> FakeSystem:
    """Return a hypervisor's system that has the channel's socket, and sessions that this collection opened."""
    return FakeSystem({SOCKET: "socket"}, otherwise="file", **options)


def stop(libvirt: FakeHypervisor, *uuids: str, system: Optional[FakeSystem] = None, **options: Any) -> list[VmResult]:
    given = {
        'timeout': 1, 'force': False, 'undefine': False, 'removal': Removal(), 'check_mode': False, 'diff': False,
        **options,
    }  # fmt: skip
    request = StopRequest(**given, cancelled=threading.Event())
    return stop_vms(libvirt, system or owned_system(), uuids or (UUID,), request)


def fail(error: VmError) -> None:
    raise error


def code_of(result: VmResult) -> Optional[str]:
    return None if result.failure is None else result.failure.error.code


def request(force: bool = False) -> StopRequest:
    return StopRequest(60, force, False, Removal(), False, False, threading.Event())


def refusal(observed: ObservedVm, **requested: bool) -> Optional[str]:
    """Return the code of the error that keeps the VM from being stopped."""
    try:
        check_stoppable(observed, request(**requested))
    except VmError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("state", "reason", "gracefully", "by_force"),
    [
        ("running", "booted", None, None),
        ("shutdown", "user", None, None),
        ("shutoff", "destroyed", None, None),
        ("absent", "unknown", None, None),
        ("paused", "user", "vm_not_running", None),
        ("paused", "ioerror", "vm_not_running", None),
        ("pmsuspended", "unknown", "vm_not_running", None),
        ("crashed", "panicked", "vm_crashed", None),
        ("paused", "migration", "vm_busy", "vm_busy"),
        ("paused", "starting_up", "vm_busy", "vm_busy"),
    ],
)
def test_what_a_state_allows(state: str, reason: str, gracefully: Optional[str], by_force: Optional[str]) -> None:
    observed = ObservedVm(state=state, reason=reason)
    assert (refusal(observed), refusal(observed, force=True)) == (gracefully, by_force)


def test_sockets_are_those_that_qemu_binds_at_a_path_of_the_definition_each_once() -> None:
    domain = etree.fromstring("""
      <domain><devices>
        <channel type='unix'><source mode='bind' path='/run/vm/agent'/></channel>
        <channel type='unix'><source mode='connect' path='/run/server'/></channel>
        <channel type='unix'><source mode='bind'/></channel>
        <channel type='spicevmc'/>
      </devices></domain>""")
    assert channel_sockets([domain, domain]) == ["/run/vm/agent"]


class TestAQemuThatHangs:
    def test_in_the_request_to_shut_down_it_is_an_error_and_ended_only_by_force(self) -> None:
        libvirt = libvirt_with(FakeDomain())
        libvirt.on_shutdown = lambda domain: fail(HANGS)
        (result,) = stop(libvirt)
        assert (code_of(result), libvirt.domains[UUID].state) == ("qemu_hangs", "running")
        (result,) = stop(libvirt, force=True)
        assert (code_of(result), result.actions, result.state) == (None, ["shutdown", "destroy"], "shutoff")

    def test_in_what_another_asked_of_it_it_is_an_error_and_ended_only_by_force(self) -> None:
        libvirt = libvirt_with(FakeDomain())
        libvirt.job_error = HANGS
        (result,) = stop(libvirt)
        assert (code_of(result), result.actions) == ("qemu_hangs", [])
        (result,) = stop(libvirt, timeout=0, force=True)
        assert (code_of(result), result.actions) == (None, ["destroy"])

    def test_with_a_job_that_was_begun_on_it_it_is_not_ended(self) -> None:
        libvirt = libvirt_with(FakeDomain("paused", "migration"))
        libvirt.errors["xml"] = HANGS
        (result,) = stop(libvirt, timeout=0, force=True)
        assert (code_of(result), result.actions) == ("vm_busy", [])

    @pytest.mark.parametrize(
        ("domain", "code"),
        [
            ({"persistent": False}, "vm_has_tpm_state"),
            ({"persistent": False, "snapshots": 1}, "vm_has_snapshots"),
            ({"snapshots": 1}, "vm_has_snapshots"),
        ],
    )
    def test_and_whose_definition_cannot_be_read_it_keeps_what_it_may_have(
        self, domain: dict[str, Any], code: str
    ) -> None:
        libvirt = libvirt_with(FakeDomain(**domain))
        libvirt.errors["xml"] = HANGS
        (result,) = stop(libvirt, timeout=0, force=True, undefine=True)
        assert (code_of(result), result.actions) == (code, [])
        libvirt.errors["xml"] = HANGS
        (result,) = stop(libvirt, timeout=0, force=True, undefine=True, removal=Removal(tpm=True, snapshots=True))
        assert (code_of(result), result.actions[0]) == (None, "destroy")


def test_a_task_that_is_interrupted_while_it_waits_for_another_stops_nothing() -> None:
    libvirt, system = libvirt_with(FakeDomain()), owned_system()
    system.when_locked = lambda cancelled: cancelled.set()
    (result,) = stop(libvirt, timeout=0, force=True, system=system)
    assert (code_of(result), libvirt.changes) == ("interrupted", [])


def begin_migration(libvirt: FakeHypervisor, domain: FakeDomain) -> None:
    libvirt.job = True


def pause_for_migration(libvirt: FakeHypervisor, domain: FakeDomain) -> None:
    domain.state, domain.reason = "paused", "migration"


@pytest.mark.parametrize("begin", [begin_migration, pause_for_migration])
def test_a_vm_that_a_job_was_begun_on_while_its_guest_was_waited_for_is_not_ended(
    begin: Callable[[FakeHypervisor, FakeDomain], None],
) -> None:
    libvirt = libvirt_with(FakeDomain())
    libvirt.on_shutdown = lambda domain: begin(libvirt, domain)
    (result,) = stop(libvirt, force=True)
    assert (code_of(result), result.actions) == ("vm_busy", ["shutdown"])
    assert libvirt.domains[UUID].state != "shutoff"


class TestWhatLibvirtWouldRemoveWithTheVm:
    """It is an error before anything is done, unless the option for it allows its removal."""

    @pytest.mark.parametrize("persistent", [True, False])
    @pytest.mark.parametrize("kind", ["snapshots", "checkpoints"])
    def test_snapshots_and_checkpoints(self, kind: str, persistent: bool) -> None:
        libvirt = libvirt_with(FakeDomain(persistent=persistent, **{kind: 1}))
        others = Removal(nvram=True, tpm=True, saved_state=True, snapshots=True, checkpoints=True)
        others = others._replace(**{kind: False})
        (result,) = stop(libvirt, timeout=0, force=True, undefine=True, removal=others)
        assert (code_of(result), result.actions) == ("vm_has_snapshots", [])
        assert result.failure is not None and f"1 {kind}" in result.failure.error.message
        (result,) = stop(libvirt, timeout=0, force=True, undefine=True, removal=Removal(**{kind: True}))
        assert (code_of(result), result.actions) == (None, ["destroy", *(["undefine"] if persistent else [])])

    def test_memory_that_is_saved_also_by_force(self) -> None:
        libvirt = libvirt_with(FakeDomain("shutoff", saved=True))
        (result,) = stop(libvirt, force=True, undefine=True)
        assert (code_of(result), result.actions) == ("vm_has_saved_state", [])
        (result,) = stop(libvirt, undefine=True, removal=Removal(saved_state=True))
        assert (code_of(result), result.actions) == (None, ["undefine"])

    @pytest.mark.parametrize(
        ("keeps_tpm", "persistent", "tpm", "code"),
        [
            (True, True, TPM, None),
            (False, True, TPM, "vm_has_tpm_state"),
            (True, False, TPM, "vm_has_tpm_state"),
            (False, True, PERSISTENT_TPM, None),
            (True, False, PERSISTENT_TPM, None),
            (False, True, "", None),
            (False, True, "<tpm><backend type='passthrough'/></tpm>", None),
        ],
    )
    def test_the_state_of_a_tpm(self, keeps_tpm: bool, persistent: bool, tpm: str, code: Optional[str]) -> None:
        def libvirt() -> FakeHypervisor:
            libvirt = libvirt_with(FakeDomain(defined=tpm, running=tpm, persistent=persistent))
            libvirt.keeps_tpm = keeps_tpm
            return libvirt

        (result,) = stop(libvirt(), timeout=0, force=True, undefine=True)
        assert (code_of(result), bool(result.actions)) == (code, code is None)
        (result,) = stop(libvirt(), timeout=0, force=True, undefine=True, removal=Removal(tpm=True))
        assert code_of(result) is None

    def test_nothing_keeps_a_vm_that_stays_defined_from_being_stopped(self) -> None:
        libvirt = libvirt_with(FakeDomain(defined=TPM, running=TPM, snapshots=1))
        libvirt.keeps_tpm = False
        (result,) = stop(libvirt, timeout=0, force=True)
        assert (code_of(result), result.actions) == (None, ["destroy"])


@pytest.mark.parametrize("kind", Removal._fields)
def test_libvirt_removes_only_what_may_be_removed(kind: str) -> None:
    libvirt = libvirt_with(FakeDomain("shutoff"))
    stop(libvirt, undefine=True, force=True, removal=Removal(**{kind: True}))
    assert libvirt.undefined == [Removal(**{kind: True})]


class TestWhatGoesWithAVm:
    def test_what_only_the_running_vm_had_goes_too(self) -> None:
        libvirt, system = libvirt_with(FakeDomain(running=CEPH_DISK + LUN_DISK + CHANNEL)), owned_system()
        (result,) = stop(libvirt, system=system, timeout=0, force=True)
        released = ["remove_channel_socket", "log_out_of_iscsi_target", "remove_secret"]
        assert (code_of(result), result.actions) == (None, ["destroy", *released])
        assert system.removed[0] == SOCKET and not libvirt.secrets
        assert "iscsiadm -m node -T iqn.2024-01.io:a -p 10.0.0.1:3260 --logout" in system.ran

    def test_a_secret_that_the_definition_still_names_stays(self) -> None:
        libvirt = libvirt_with(FakeDomain(defined=CEPH_DISK, running=CEPH_DISK))
        (result,) = stop(libvirt, timeout=0, force=True)
        assert result.actions == ["destroy"] and libvirt.secrets

    def test_what_only_root_may_remove_stays_for_another_user(self) -> None:
        libvirt, system = libvirt_with(FakeDomain(running=CEPH_DISK + LUN_DISK + CHANNEL)), owned_system()
        system.as_root = False
        (result,) = stop(libvirt, system=system, timeout=0, force=True)
        assert (code_of(result), result.actions) == (None, ["destroy", "remove_secret"])
        assert result.warnings == ["its iSCSI sessions stay: only root can close them"]

    def test_a_socket_that_somebody_listens_on_stays(self) -> None:
        (result,) = stop(libvirt_with(FakeDomain("shutoff", defined=CHANNEL)), system=owned_system(listening=[SOCKET]))
        assert result.actions == []

    def test_a_socket_of_another_vm_stays_whatever_its_path_is(self) -> None:
        libvirt = libvirt_with(FakeDomain("shutoff", defined=CHANNEL), FakeDomain("shutoff", defined=CHANNEL))
        (result,) = stop(libvirt)
        assert result.actions == []

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_shared_resources_are_removed_with_the_last_vm_as_check_mode_predicts(self, check_mode: bool) -> None:
        libvirt = libvirt_with(*(FakeDomain("shutoff", defined=CEPH_DISK + LUN_DISK) for _vm in range(2)))
        # One after the other, as check mode sees them.
        request = [(UUID, OTHER)] if check_mode else [(UUID,), (OTHER,)]
        results = [
            result for uuids in request for result in stop(libvirt, *uuids, undefine=True, check_mode=check_mode)
        ]
        assert [result.actions for result in results] == [
            ['undefine'], ['undefine', 'log_out_of_iscsi_target', 'remove_secret'],
        ]  # fmt: skip
        assert bool(libvirt.secrets) is check_mode

    def test_resources_of_vms_that_stay_defined_are_kept_in_check_mode_too(self) -> None:
        libvirt = libvirt_with(*(FakeDomain("shutoff", defined=LUN_DISK) for _vm in range(2)))
        assert [result.actions for result in stop(libvirt, UUID, OTHER, check_mode=True)] == [[], []]


def test_texts_for_the_diff_are_created_only_for_a_diff() -> None:
    (result,) = stop(libvirt_with(FakeDomain()), timeout=0, force=True)
    assert (result.before, result.after) == ("", "")
    (result,) = stop(libvirt_with(FakeDomain()), timeout=0, force=True, undefine=True, diff=True)
    assert (result.before.partition("\n")[0], result.after) == ("state: running", "state: absent\n")
    assert "<domain>" in result.before
