# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions are backed up and changed, and are as they were after a rollback; so are directories."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.zstack.kvm.plugins.module_utils._actions import definition
from ansible_collections.zstack.kvm.plugins.module_utils._actions.action import Outcome, RollbackTurn
from ansible_collections.zstack.kvm.plugins.module_utils._actions.definition import (
    BackUpDefinition,
    CreateChannelDirectory,
    CreateNvramDirectory,
    Define,
    RestrictQmpDirectory,
    SetAutostart,
)
from ansible_collections.zstack.kvm.plugins.module_utils._errors.errors import VmError
from ansible_collections.zstack.kvm.plugins.module_utils._host.system import HostSystem
from ansible_collections.zstack.kvm.plugins.module_utils._libvirt.hypervisor import Removal
from ansible_collections.zstack.kvm.tests.unit.fakes import (
    UUID,
    FakeDomain,
    FakeHypervisor,
    FakeSystem,
    RemoteFakeSystem,
    context_of,
)

OTHER = "1d1e2f30-4a5b-6c7d-8e9f-a0b1c2d3e4f5"
NAME = UUID.replace("-", "")
XML = f"<domain><name>{NAME}</name><uuid>{UUID}</uuid><os/><devices/></domain>"
TPM = "<devices><tpm><backend type='emulator'/></tpm></devices>"
OLD = "<domain><name>old</name><uuid>%s</uuid></domain>" % UUID
LOST = VmError("connection_lost", "gone")


def undone(outcome: Outcome) -> None:
    assert outcome.undo is not None
    outcome.undo()


class TestABackup:
    PATH = "/var/lib/zstack-kvm/backups/%s.now" % NAME

    @pytest.fixture(autouse=True)
    def now(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "strftime", lambda form, now: "now")

    def test_can_be_read_by_its_owner_alone_and_is_in_the_result(self, tmp_path: Path) -> None:
        context = context_of(FakeHypervisor(), HostSystem(str(tmp_path)))
        BackUpDefinition(XML).do(context)
        file = tmp_path / (self.PATH + ".xml").lstrip("/")
        assert (file.read_text(), file.stat().st_mode & 0o777) == (XML, 0o600)
        assert context.backup_file == self.PATH + ".xml"

    def test_of_the_same_second_replaces_none(self, tmp_path: Path) -> None:
        context = context_of(FakeHypervisor(), HostSystem(str(tmp_path)))
        for text in ("first", "second"):
            BackUpDefinition(text).do(context)
        assert context.backup_file == self.PATH + ".1.xml"
        assert (tmp_path / (self.PATH + ".xml").lstrip("/")).read_text() == "first"

    def test_fails_if_all_names_are_taken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(definition, "_MAX_BACKUPS_A_SECOND", 2)
        context = context_of(FakeHypervisor(), HostSystem(str(tmp_path)))
        for text in ("first", "second"):
            BackUpDefinition(text).do(context)
        with pytest.raises(VmError, match="all its numbered names are taken"):
            BackUpDefinition("third").do(context)

    def test_that_cannot_be_written_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "var").write_text("not a directory")
        with pytest.raises(VmError) as caught:
            BackUpDefinition(XML).do(context_of(FakeHypervisor(), HostSystem(str(tmp_path))))
        assert caught.value.code == "path_unwritable"

    def test_is_gone_after_a_rollback(self, tmp_path: Path) -> None:
        context = context_of(FakeHypervisor(), HostSystem(str(tmp_path)))
        undone(BackUpDefinition(XML).do(context))
        assert context.backup_file is None
        assert list((tmp_path / "var/lib/zstack-kvm/backups").iterdir()) == []


def define(libvirt: FakeHypervisor, xml: str = XML, system: Optional[Any] = None, **observed: Any) -> Outcome:
    return Define(xml).do(context_of(libvirt, system, **observed))


class TestADefinition:
    def test_that_replaced_another_is_replaced_by_it_whatever_the_schema_says(self) -> None:
        libvirt = FakeHypervisor({UUID: FakeDomain("shutoff")})
        undone(define(libvirt, inactive_xml=OLD, persistent=True))
        assert libvirt.changes == [("define", XML, True), ("define", OLD, False)]

    def test_of_a_new_vm_is_removed_with_what_came_with_it(self) -> None:
        libvirt = FakeHypervisor()
        undone(define(libvirt))
        assert (libvirt.domains, libvirt.undefined) == ({}, [Removal(nvram=True, tpm=True)])

    def test_of_a_new_vm_is_removed_also_if_its_state_cannot_be_read(self) -> None:
        libvirt = FakeHypervisor()
        action = define(libvirt)
        libvirt.errors["state"] = VmError("libvirt_hangs", "no")
        undone(action)
        assert libvirt.domains == {}

    def test_of_a_transient_vm_is_removed(self) -> None:
        libvirt = FakeHypervisor({UUID: FakeDomain(persistent=False)})
        undone(define(libvirt, inactive_xml=OLD, persistent=False))
        assert libvirt.changes == [("define", XML, True), ("undefine", UUID)]

    def test_of_a_transient_vm_that_may_still_shut_down_is_replaced(self) -> None:
        libvirt = FakeHypervisor({UUID: FakeDomain(persistent=False)})
        context = context_of(libvirt, inactive_xml=OLD, persistent=False)
        outcome = Define(XML).do(context)
        context.asked_to_shut_down = True
        undone(outcome)
        assert libvirt.changes == [("define", XML, True), ("define", OLD, False)]

    def test_of_a_transient_vm_that_is_off_by_now_is_replaced_so_that_it_can_start_again(self) -> None:
        libvirt = FakeHypervisor({UUID: FakeDomain(persistent=False)})
        action = define(libvirt, inactive_xml=OLD, persistent=False)
        libvirt.domains[UUID].state = "shutoff"
        undone(action)
        assert libvirt.changes == [("define", XML, True), ("define", OLD, False)]

    @pytest.mark.parametrize(
        ("os", "there", "removal"),
        [
            ("<os><nvram>/vars.fd</nvram></os>", "/vars.fd", Removal(nvram=False, tpm=True)),
            ("<os/>", "/var/lib/libvirt/qemu/nvram/%s_VARS.fd" % NAME, Removal(nvram=False, tpm=True)),
            ("<os/>", "/var/lib/libvirt/qemu/nvram/another_VARS.fd", Removal(nvram=True, tpm=True)),
            ("<os/>", "/var/lib/libvirt/swtpm/%s" % UUID, Removal(nvram=True, tpm=False)),
        ],
    )
    def test_is_removed_without_what_an_older_domain_left(self, os: str, there: str, removal: Removal) -> None:
        libvirt = FakeHypervisor()
        undone(define(libvirt, XML.replace("<os/>", os), FakeSystem({there: "file"})))
        assert libvirt.undefined == [removal]

    def test_is_removed_alone_where_files_cannot_be_seen(self) -> None:
        libvirt = FakeHypervisor()
        undone(define(libvirt, system=RemoteFakeSystem()))
        assert libvirt.undefined == [Removal(nvram=False, tpm=False)]

    def test_stays_where_its_removal_would_lose_an_older_tpm(self) -> None:
        libvirt = FakeHypervisor()
        libvirt.keeps_tpm = False
        older = FakeSystem({"/var/lib/libvirt/swtpm/%s" % UUID: "directory"})
        outcome = define(libvirt, XML.replace("<devices/>", TPM), older)
        with pytest.raises(VmError) as caught:
            undone(outcome)
        assert (caught.value.code, libvirt.undefined) == ("vm_has_tpm_state", [])

    def test_that_somebody_has_removed_meanwhile_needs_no_undoing(self) -> None:
        libvirt = FakeHypervisor()
        outcome = define(libvirt)
        libvirt.domains.clear()
        undone(outcome)
        assert libvirt.undefined == []

    def test_that_cannot_be_removed_is_an_error_of_the_rollback(self) -> None:
        libvirt = FakeHypervisor()
        outcome = define(libvirt)
        libvirt.errors["undefine"] = VmError("libvirt_error", "no")
        with pytest.raises(VmError, match="no"):
            undone(outcome)


class TestWhatLibvirtHasRewritten:
    def test_is_recorded_in_the_definition(self) -> None:
        libvirt = FakeHypervisor()
        outcome = Define(XML, lambda defined: "<rewritten/>" if defined == XML else None).do(context_of(libvirt))
        assert outcome.failure is None
        assert [(call[0], call[-1]) for call in libvirt.changes[1:]] == [("set_defined_metadata", "<rewritten/>")]

    def test_is_not_recorded_where_there_is_nothing(self) -> None:
        libvirt = FakeHypervisor()
        Define(XML, lambda defined: None).do(context_of(libvirt))
        assert libvirt.changes == [("define", XML, True)]

    def test_is_undone_with_the_definition_where_it_cannot_be_recorded(self) -> None:
        libvirt = FakeHypervisor()
        libvirt.errors["set_defined_metadata"] = VmError("libvirt_error", "no")
        outcome = Define(XML, lambda defined: "<rewritten/>").do(context_of(libvirt))
        assert outcome.failure is not None
        undone(outcome)
        assert libvirt.domains == {}


@pytest.mark.parametrize("before", [True, False, None])
def test_autostart_is_as_it_was_after_a_rollback(before: Optional[bool]) -> None:
    libvirt = FakeHypervisor({UUID: FakeDomain()})
    undone(SetAutostart(not before).do(context_of(libvirt, autostart=before)))
    assert libvirt.changes == [("set_autostart", UUID, not before), ("set_autostart", UUID, bool(before))]


class TestADirectoryOfChannels:
    PATH = "/run/vms/channels"

    def create(self, root: Path, *others: FakeDomain) -> Outcome:
        libvirt = FakeHypervisor(dict(zip([OTHER], others)))
        return CreateChannelDirectory(self.PATH).do(context_of(libvirt, HostSystem(str(root))))

    def test_is_for_its_owner_and_gone_after_a_rollback(self, tmp_path: Path) -> None:
        outcome = self.create(tmp_path)
        assert (tmp_path / "run/vms/channels").stat().st_mode & 0o777 == 0o750
        undone(outcome)
        assert not (tmp_path / "run").exists()

    def test_stays_where_another_vm_has_come_to_use_it(self, tmp_path: Path) -> None:
        other = FakeDomain("shutoff", defined="<channel><source mode='bind' path='/run/vms/channels/a'/></channel>")
        undone(self.create(tmp_path, other))
        assert (tmp_path / "run/vms/channels").is_dir()

    def test_that_exists_is_not_created(self, tmp_path: Path) -> None:
        (tmp_path / "run/vms/channels").mkdir(parents=True)
        assert self.create(tmp_path) == Outcome(is_needless=True)

    @pytest.mark.parametrize(
        ("action", "name"), [(CreateChannelDirectory, "create_channel_dir"), (CreateNvramDirectory, "create_nvram_dir")]
    )
    def test_is_shared_by_its_path_and_removed_after_the_vms(
        self, action: type[CreateChannelDirectory], name: str
    ) -> None:
        assert (action.name, action(self.PATH).shared) == (name, self.PATH)
        assert action.rollback_turn == RollbackTurn.SHARED


def test_the_directory_of_qmp_sockets_is_restricted_without_an_undo(tmp_path: Path) -> None:
    directory = tmp_path / "qmp"
    directory.mkdir()
    directory.chmod(0o777)
    action, context = RestrictQmpDirectory("/qmp"), context_of(FakeHypervisor(), HostSystem(str(tmp_path)))
    assert [action.do(context) for _vm in range(2)] == [Outcome(), Outcome(is_needless=True)]
    assert directory.stat().st_mode & 0o022 == 0
    assert (action.name, action.shared) == ("restrict_qmp_dir", "/qmp")
