# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How VMs are stopped when others don't do as they should: QEMUs, guests, people; and what goes with the VMs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import CommandResult
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import ListedDomain, Removal
from ansible_collections.zstack.kvm.plugins.module_utils._start.result import VmResult
from ansible_collections.zstack.kvm.plugins.module_utils._stop.stop import StopRequest, stop_vms

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


@dataclass
class Domain:
    """A domain, with the devices that its definition and what runs of it have."""

    state: str = "running"
    reason: str = "booted"
    defined: str = ""
    running: str = ""


class Libvirt:
    """A libvirt with an ephemeral secret and these domains, whose guests and QEMUs do what C(on_shutdown) does."""

    def __init__(self, *domains: Domain) -> None:
        self.domains = dict(zip((UUID, OTHER), domains))
        self.on_shutdown: Callable[[Domain], None] = lambda domain: None
        self.job: Any = False
        self.snapshots = self.checkpoints = 0
        self.keeps_tpm = self.persistent = True
        self.saved: set[str] = set()
        self.undefined: list[Removal] = []
        self.has_secret = True

    def list_domains(self) -> list[ListedDomain]:
        return [ListedDomain(uuid, uuid, domain.state != "shutoff") for uuid, domain in list(self.domains.items())]

    def list_saved(self) -> set[str]:
        return self.saved

    def state(self, uuid: str) -> tuple[str, str]:
        return self._domain(uuid).state, self._domain(uuid).reason

    def is_persistent(self, uuid: str) -> bool:
        return self.persistent

    def xml(self, uuid: str, inactive: bool) -> str:
        domain = self._domain(uuid)
        off = domain.state == "shutoff"
        return "<domain><devices>%s</devices></domain>" % (domain.defined if inactive or off else domain.running)

    def has_job(self, uuid: str, seconds: float) -> bool:
        if isinstance(self.job, VmError):
            raise self.job
        return bool(self.job)

    def snapshot_count(self, uuid: str) -> int:
        return self.snapshots

    def checkpoint_count(self, uuid: str) -> int:
        return self.checkpoints

    def shutdown(self, uuid: str, seconds: float) -> None:
        self.on_shutdown(self._domain(uuid))

    def destroy(self, uuid: str) -> None:
        self._domain(uuid).state = "shutoff"

    def can_keep_tpm(self) -> bool:
        return self.keeps_tpm

    def undefine(self, uuid: str, removal: Removal) -> None:
        self.undefined.append(removal)
        del self.domains[uuid]

    def secret_xml(self, uuid: str) -> Optional[str]:
        usage = "<usage type='ceph'><name>x</name></usage>"
        return "<secret ephemeral='yes' private='no'><uuid>%s</uuid>%s</secret>" % (SECRET, usage)

    def undefine_secret(self, uuid: str) -> None:
        self.has_secret = False

    def _domain(self, uuid: str) -> Domain:
        if uuid not in self.domains:
            raise VmError("domain_gone", "there is no such domain")
        return self.domains[uuid]


class System:
    """A hypervisor's system that has the channel's socket, and sessions that this collection opened."""

    is_remote = False

    def __init__(self, listener: bool = False) -> None:
        self._listener = listener
        self.as_root = True
        self.removed: list[str] = []
        self.ran: list[str] = []

    def is_root(self) -> bool:
        return self.as_root

    def may_create(self, path: str) -> bool:
        return self.as_root

    def lock(self, name: str) -> Any:
        return SimpleNamespace(acquire=self._acquire)

    def shared_lock(self, name: str, label: str) -> Any:
        return SimpleNamespace(acquire=self._acquire)

    def _acquire(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def path_kind(self, path: str) -> str:
        return "socket" if path == SOCKET else "file"

    def entry_kind(self, path: str) -> str:
        return self.path_kind(path)

    def has_listener(self, path: str) -> bool:
        return self._listener

    def read_text(self, path: str) -> str:
        """A mark that says of its session: there was no record before."""
        return "{}"

    def remove_file(self, path: str) -> None:
        self.removed.append(path)

    remove_socket = remove_file

    def run(self, argv: list[str], timeout: float) -> CommandResult:
        self.ran.append(" ".join(argv))
        return CommandResult(0, "", "")


def stop(libvirt: Libvirt, *uuids: str, system: Optional[System] = None, **options: Any) -> list[VmResult]:
    given = {
        'timeout': 1, 'force': False, 'undefine': False, 'removal': Removal(), 'check_mode': False, 'diff': False,
        **options,
    }  # fmt: skip
    request = StopRequest(**given, cancelled=threading.Event())
    return stop_vms(libvirt, system or System(), uuids or (UUID,), request)


def fail(error: VmError) -> None:
    raise error


def code_of(result: VmResult) -> Optional[str]:
    return None if result.failure is None else result.failure.error.code


class TestAQemuThatHangs:
    def test_in_the_request_to_shut_down_it_is_an_error_and_ended_only_by_force(self) -> None:
        libvirt = Libvirt(Domain())
        libvirt.on_shutdown = lambda domain: fail(HANGS)
        (result,) = stop(libvirt)
        assert (code_of(result), libvirt.domains[UUID].state) == ("qemu_hangs", "running")
        (result,) = stop(libvirt, force=True)
        assert (code_of(result), result.actions, result.state) == (None, ["shutdown", "destroy"], "shutoff")

    def test_in_what_another_asked_of_it_it_is_an_error_and_ended_only_by_force(self) -> None:
        libvirt = Libvirt(Domain())
        libvirt.job = HANGS
        (result,) = stop(libvirt)
        assert (code_of(result), result.actions) == ("qemu_hangs", [])
        (result,) = stop(libvirt, timeout=0, force=True)
        assert (code_of(result), result.actions) == (None, ["destroy"])


def begin_migration(libvirt: Libvirt, domain: Domain) -> None:
    libvirt.job = True


def pause_for_migration(libvirt: Libvirt, domain: Domain) -> None:
    domain.state, domain.reason = "paused", "migration"


@pytest.mark.parametrize("begin", [begin_migration, pause_for_migration])
def test_a_vm_that_a_job_was_begun_on_while_its_guest_was_waited_for_is_not_ended(
    begin: Callable[[Libvirt, Domain], None],
) -> None:
    libvirt = Libvirt(Domain())
    libvirt.on_shutdown = lambda domain: begin(libvirt, domain)
    (result,) = stop(libvirt, force=True)
    assert (code_of(result), result.actions) == ("vm_busy", ["shutdown"])
    assert libvirt.domains[UUID].state != "shutoff"


class TestWhatLibvirtWouldRemoveWithTheVm:
    """It is an error before anything is done, unless its own option says that it may be removed."""

    @pytest.mark.parametrize("persistent", [True, False])
    @pytest.mark.parametrize("kind", ["snapshots", "checkpoints"])
    def test_snapshots_and_checkpoints(self, kind: str, persistent: bool) -> None:
        libvirt = Libvirt(Domain())
        libvirt.persistent = persistent
        setattr(libvirt, kind, 1)
        others = Removal(nvram=True, tpm=True, saved_state=True, snapshots=True, checkpoints=True)
        others = replace(others, **{kind: False})
        (result,) = stop(libvirt, timeout=0, force=True, undefine=True, removal=others)
        assert (code_of(result), result.actions) == ("vm_has_snapshots", [])
        assert result.failure is not None and f"1 {kind}" in result.failure.error.message
        (result,) = stop(libvirt, timeout=0, force=True, undefine=True, removal=Removal(**{kind: True}))
        assert (code_of(result), result.actions) == (None, ["destroy", *(["undefine"] if persistent else [])])

    def test_memory_that_is_saved_also_by_force(self) -> None:
        libvirt = Libvirt(Domain("shutoff"))
        libvirt.saved = {UUID}
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
        def libvirt() -> Libvirt:
            libvirt = Libvirt(Domain(defined=tpm, running=tpm))
            libvirt.keeps_tpm, libvirt.persistent = keeps_tpm, persistent
            return libvirt

        (result,) = stop(libvirt(), timeout=0, force=True, undefine=True)
        assert (code_of(result), bool(result.actions)) == (code, code is None)
        (result,) = stop(libvirt(), timeout=0, force=True, undefine=True, removal=Removal(tpm=True))
        assert code_of(result) is None

    def test_nothing_keeps_a_vm_that_stays_defined_from_being_stopped(self) -> None:
        libvirt = Libvirt(Domain(defined=TPM, running=TPM))
        libvirt.snapshots, libvirt.keeps_tpm = 1, False
        (result,) = stop(libvirt, timeout=0, force=True)
        assert (code_of(result), result.actions) == (None, ["destroy"])


@pytest.mark.parametrize("kind", [field.name for field in fields(Removal)])
def test_libvirt_is_told_to_remove_only_what_may_be_removed(kind: str) -> None:
    libvirt = Libvirt(Domain("shutoff"))
    stop(libvirt, undefine=True, force=True, removal=Removal(**{kind: True}))
    assert libvirt.undefined == [Removal(**{kind: True})]


class TestWhatGoesWithAVm:
    def test_what_only_the_running_vm_had_goes_too(self) -> None:
        libvirt, system = Libvirt(Domain(running=CEPH_DISK + LUN_DISK + CHANNEL)), System()
        (result,) = stop(libvirt, system=system, timeout=0, force=True)
        released = ["remove_channel_socket", "log_out_of_iscsi_target", "remove_secret"]
        assert (code_of(result), result.actions) == (None, ["destroy", *released])
        assert system.removed[0] == SOCKET and not libvirt.has_secret
        assert "iscsiadm -m node -T iqn.2024-01.io:a -p 10.0.0.1:3260 --logout" in system.ran

    def test_a_secret_that_the_definition_still_names_stays(self) -> None:
        libvirt = Libvirt(Domain(defined=CEPH_DISK, running=CEPH_DISK))
        (result,) = stop(libvirt, timeout=0, force=True)
        assert result.actions == ["destroy"] and libvirt.has_secret

    def test_what_only_root_may_remove_stays_for_another_user(self) -> None:
        libvirt, system = Libvirt(Domain(running=CEPH_DISK + LUN_DISK + CHANNEL)), System()
        system.as_root = False
        (result,) = stop(libvirt, system=system, timeout=0, force=True)
        assert (code_of(result), result.actions) == (None, ["destroy", "remove_secret"])
        assert result.warnings == ["its iSCSI sessions stay: only root can close them"]

    def test_a_socket_that_somebody_listens_on_stays(self) -> None:
        (result,) = stop(Libvirt(Domain("shutoff", defined=CHANNEL)), system=System(listener=True))
        assert result.actions == []

    def test_a_socket_of_another_vm_stays_whatever_its_path_is(self) -> None:
        libvirt = Libvirt(Domain("shutoff", defined=CHANNEL), Domain("shutoff", defined=CHANNEL))
        (result,) = stop(libvirt)
        assert result.actions == []

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_what_vms_of_the_task_share_goes_with_the_last_of_them_as_foretold(self, check_mode: bool) -> None:
        libvirt = Libvirt(*(Domain("shutoff", defined=CEPH_DISK + LUN_DISK) for _vm in range(2)))
        # One after the other, as check mode sees them.
        request = [(UUID, OTHER)] if check_mode else [(UUID,), (OTHER,)]
        results = [
            result for uuids in request for result in stop(libvirt, *uuids, undefine=True, check_mode=check_mode)
        ]
        assert [result.actions for result in results] == [
            ['undefine'], ['undefine', 'log_out_of_iscsi_target', 'remove_secret'],
        ]  # fmt: skip
        assert libvirt.has_secret is check_mode

    def test_what_vms_share_that_stay_defined_is_not_foretold_to_go(self) -> None:
        libvirt = Libvirt(*(Domain("shutoff", defined=LUN_DISK) for _vm in range(2)))
        assert [result.actions for result in stop(libvirt, UUID, OTHER, check_mode=True)] == [[], []]


def test_texts_for_the_diff_are_made_only_for_a_diff() -> None:
    (result,) = stop(Libvirt(Domain()), timeout=0, force=True)
    assert (result.before, result.after) == ("", "")
    (result,) = stop(Libvirt(Domain()), timeout=0, force=True, undefine=True, diff=True)
    assert (result.before.partition("\n")[0], result.after) == ("state: running", "state: absent\n")
    assert "<domain>" in result.before
